"""A real browser for tests: Debian's Chromium, if it is installed (`make browser`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

_PATIENCE_MS = 30_000
# Generous, for busy machines.
expect.set_options(timeout=_PATIENCE_MS)

needs_a_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="a browser is not on the package index; `make browser` installs Chromium"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    # A context of its own, so that a test can open a second page in it.
    context = browser.new_context()
    context.set_default_timeout(_PATIENCE_MS)
    yield context.new_page()
    context.close()
