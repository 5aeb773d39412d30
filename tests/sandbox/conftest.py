from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.app import create_app
from sandbox.config import SandboxConfig
from tests.sandbox.driver import Driver
from tests.serving import serving


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with serving(create_app(SandboxConfig(seed=False, retry_seconds=(0.05,) * 5))) as url:
        yield url


@pytest.fixture
def sandbox(sandbox_url: str) -> Iterator[Driver]:
    """Ada on Google, Grace on Microsoft, no meetings, and a frozen clock.

    The clock stands at Monday 2026-01-05 08:00 UTC.
    """
    with httpx.Client(timeout=10, trust_env=False) as http:
        driver = Driver(sandbox_url, http)
        driver.control("POST", "/reset", {"seed": False})
        driver.freeze("2026-01-05T08:00:00+00:00")
        driver.account("ada@acme.test")
        driver.account("grace@acme.test", "microsoft")
        yield driver
