"""What a new user does on the sandbox's page, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser import browser, needs_a_browser, page
from tests.sandbox.driver import CLIENT_ID, EVENTS_SCOPE, LIST_SCOPE, Driver

__all__ = ["browser", "page"]

pytestmark = needs_a_browser


def test_a_person_creates_moves_cancels_and_restores_a_meeting(sandbox: Driver, page: Page) -> None:
    page.goto(sandbox.base)
    page.get_by_label("Title").fill("Launch review")
    page.get_by_label("grace@acme.test").check()
    expect(page.get_by_role("textbox", name="Link")).to_have_value(re.compile(r"^https://meet\.google\.com/"))
    page.get_by_role("button", name="Create meeting").click()
    on_graces = page.get_by_role("region", name="Grace").get_by_role("listitem").filter(has_text="Launch review")
    expect(on_graces).to_contain_text("not answered")
    page.get_by_role("button", name="+5 min: Launch review").click()
    expect(page.locator("#message")).to_contain_text("Moved")
    page.get_by_role("button", name="Cancel: Launch review").click()
    expect(on_graces).to_contain_text("cancelled")
    page.get_by_role("button", name="Restore: Launch review").click()
    expect(on_graces).not_to_contain_text("cancelled")
    (event,) = sandbox.control("GET", "/accounts/ada@acme.test/events")
    assert event["start"] == "2026-01-05T08:08:00Z"


def test_a_person_sees_a_bot_come_and_finish(sandbox: Driver, page: Page) -> None:
    created = sandbox.event("ada@acme.test", title="Launch review", platform="zoom")
    page.goto(sandbox.base)
    sandbox.job(joinAt="2026-01-05T08:00:00Z", meetingUrl=created["meeting_url"])
    expect(page.locator(".job", has_text="Launch review")).to_contain_text("joining")
    sandbox.control("POST", "/clock", {"advance_seconds": 60})
    expect(page.locator(".job", has_text="Launch review")).to_contain_text("completed")
    expect(page.locator(".job")).to_contain_text("12 s recorded")


def test_a_person_consents_without_the_calendar_list(sandbox: Driver, page: Page) -> None:
    query = f"client_id={CLIENT_ID}&redirect_uri={sandbox.base}/healthz&response_type=code&state=s"
    page.goto(f"{sandbox.base}/google/o/oauth2/v2/auth?{query}&scope=openid+{EVENTS_SCOPE}+{LIST_SCOPE}")
    page.get_by_role("button", name="ada@acme.test").click()
    page.get_by_label("See the list").uncheck()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/healthz?code=*&state=s")
    (ada, _) = sandbox.control("GET", "/accounts")
    assert ada["granted_scopes"] == [EVENTS_SCOPE, "openid"]
