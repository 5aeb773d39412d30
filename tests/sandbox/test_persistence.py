from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from sandbox.app import create_app
from sandbox.config import SandboxConfig
from tests.sandbox.driver import Driver
from tests.serving import serving

ADA = "ada@acme.test"


def test_a_restart_keeps_calendars_tokens_and_jobs(tmp_path: Path) -> None:
    config = SandboxConfig(state_file=tmp_path / "deep" / "sandbox.json")
    with httpx.Client(timeout=10, trust_env=False) as http:
        with serving(create_app(config)) as url:
            first = Driver(url, http)
            tokens = first.connect("google", ADA)
            key = first.event(ADA, title="Kept")["key"]
            job = first.job(joinAt="2099-01-01T00:00:00Z").json()
        with serving(create_app(config)) as url:
            second = Driver(url, http)
            assert second.control("GET", f"/events/{key}")["title"] == "Kept"
            assert second.google(tokens["access_token"], "/calendars/primary/events").status_code == 200
            assert second.refresh("google", tokens["refresh_token"]).status_code == 200
            assert second.job_status(job["id"])["externalId"] == job["externalId"]


def test_the_file_is_written_before_the_answer_leaves(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    with serving(create_app(SandboxConfig(state_file=path))) as url, httpx.Client(timeout=10, trust_env=False) as http:
        Driver(url, http).event(ADA, title="On disk at once")
        assert "On disk at once" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["sandbox.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_not_a_state_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    path.write_text('{"something": "else"}')
    with pytest.raises(ValidationError):
        create_app(SandboxConfig(state_file=path))
    assert path.read_text() == '{"something": "else"}'
