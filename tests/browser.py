"""A real browser for tests: Debian's Chromium, where the machine has it (`make browser` installs it)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

_PATIENCE_MS = 30_000
# A bound for machines with other work, not an expectation.
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
    # A context, so that a test can open a second page beside it.
    context = browser.new_context()
    context.set_default_timeout(_PATIENCE_MS)
    yield context.new_page()
    context.close()
