"""The README's steps in a browser.

They lead through console, consent page, the sandbox's calendar and the Temporal UI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import browser, needs_a_browser, page
from tests.e2e.stack import Stack, printed_after, running_stack

__all__ = ["browser", "page"]

pytestmark = [*needs_a_browser, pytest.mark.stack, pytest.mark.timeout(300)]

_A_BOTS_WAY_MS = 90_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("clicks") / "state") as started:
        pace = dict.fromkeys(started.sandbox.get("/control/backend/pace").json(), 1)
        started.sandbox.post("/control/backend/pace", json=pace).raise_for_status()
        yield started


def test_a_newcomer_connects_puts_a_meeting_in_and_watches_its_bot(stack: Stack, page: Page) -> None:
    page.goto(printed_after(stack.output, "Console"))
    page.get_by_role("link", name="Calendars").click()
    page.get_by_role("button", name="Connect Google calendar").click()
    page.get_by_role("button", name="ada@acme.test").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("ada@acme.test")

    sandbox = page.context.new_page()
    sandbox.goto(printed_after(stack.output, "Sandbox calendar"))
    sandbox.get_by_label("Title").fill("Kick-off")
    # The bot is due in a few seconds.
    sandbox.get_by_label("Starts in (minutes)").fill("1.7")
    sandbox.get_by_role("textbox", name="Other guests").fill("grace@acme.test")
    expect(sandbox.get_by_role("textbox", name="Link")).to_have_value(re.compile("^https://"))
    sandbox.get_by_role("button", name="Create meeting").click()
    expect(sandbox.locator("#message")).to_contain_text("Kick-off")

    page.get_by_role("button", name="Sync now").click()
    row = page.locator("#events tr", has_text="Kick-off")
    expect(row).to_contain_text("internal meetings")
    expect(sandbox.locator(".job", has_text="Kick-off")).to_contain_text("completed", timeout=_A_BOTS_WAY_MS)
    expect(row).to_contain_text("completed")
    expect(sandbox.locator(".job", has_text="Kick-off")).to_have_count(1)


def test_the_temporal_ui_shows_what_a_calendar_is_doing(stack: Stack, page: Page) -> None:
    user = stack.connect("grace@acme.test", "microsoft", customer_user_id="grace")
    tenant = printed_after(stack.output, "Demo tenant")
    workflows = f"{printed_after(stack.output, 'Temporal UI')}/namespaces/default/workflows"
    page.goto(f"{workflows}/calendar-user%2F{tenant}%2F{user}")
    page.get_by_role("tab", name="User Metadata").click()
    # Each text is in a frame of its own: the summary, what the workflow is for, and its present state.
    summary, _, now = (page.locator("iframe").nth(place).content_frame.locator("body") for place in range(3))
    expect(summary).to_contain_text(f"microsoft calendar, user {user}")
    expect(now).to_contain_text("last sync")
    expect(now).to_contain_text("meetings to be recorded")
