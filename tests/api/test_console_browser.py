"""The console in a real browser: for everybody, in any width and colours, and safe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from api.app import create_app
from tests.api.conftest import Front, Tenant
from tests.browser import browser, needs_a_browser
from tests.serving import serving

__all__ = ["browser"]

pytestmark = [*needs_a_browser, pytest.mark.timeout(300)]

WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
HOSTILE = "<img src=x onerror=alert(1)>" + "W" * 300
NARROW = {"width": 320, "height": 700}
EMPTY = ["", "/calendars", "/rules", "/bots", "/webhooks", "/usage", "/settings", "/settings/keys", "/settings/audit"]


@pytest.fixture(scope="module")
def address(api_front: Front) -> Iterator[str]:
    with serving(create_app(api_front.services.settings, api_front.services)) as served:
        yield served


@pytest.fixture
def full(tenant: Tenant) -> list[str]:
    """Pages about a calendar whose every text is long and hostile."""
    user = tenant.add_user(email=HOSTILE, customer_user_id=HOSTILE)
    event = tenant.add_event(user, title=HOSTILE, rule=HOSTILE)
    bot = tenant.add_bot(event.meeting_key, state="failed", failure_code="lobby_timeout")
    path = f"/calendars/{user.id}"
    return ["/calendars", path, f"{path}/meetings/{event.id}", "/bots", f"/bots/{bot.id}", f"/rules/{user.id}"]


def signed_in(browser: Browser, address: str, tenant: Tenant, *, scripts: bool = True) -> Page:
    page = browser.new_context(java_script_enabled=scripts).new_page()
    page.goto(f"{address}/console/sign-in")
    page.get_by_label("API key").fill(tenant.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")
    return page


@pytest.fixture
def page(browser: Browser, address: str, tenant: Tenant) -> Iterator[Page]:
    opened = signed_in(browser, address, tenant)
    yield opened
    opened.context.close()


def faults_of(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": WCAG_22_AA}).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_meets_wcag_22_aa(page: Page, address: str, full: list[str], colours: str) -> None:
    page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
    faults = {}
    for path in [*EMPTY, *full]:
        page.goto(f"{address}/console{path}")
        faults[path] = faults_of(page)
    assert not any(faults.values()), faults


def test_no_page_scrolls_sideways_on_a_narrow_screen(page: Page, address: str, full: list[str]) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    wide = {}
    for path in [*EMPTY, *full]:
        page.goto(f"{address}/console{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            wide[path] = width
    assert wide == {}


def test_hostile_texts_run_nothing_and_break_no_policy(page: Page, address: str, full: list[str]) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    for path in [*EMPTY, *full]:
        page.goto(f"{address}/console{path}")
        page.wait_for_load_state("networkidle")
    assert said == []


def test_without_scripts_a_person_signs_in_and_changes_a_setting(
    browser: Browser, address: str, tenant: Tenant
) -> None:
    page = signed_in(browser, address, tenant, scripts=False)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Name of the bots").fill("Scribe")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert tenant.get("/tenant").json()["bot_display_name"] == "Scribe"
    page.context.close()


def test_a_region_is_refreshed_without_taking_the_focus(page: Page, address: str, tenant: Tenant) -> None:
    user = tenant.add_user()
    page.goto(f"{address}/console/calendars/{user.id}")
    page.get_by_label("Type olga@own.com to confirm").fill("olga")
    tenant.add_event(user, title="Just planned")
    page.get_by_text("Just planned").wait_for()
    assert page.get_by_label("Type olga@own.com to confirm").input_value() == "olga"
    assert page.evaluate("document.activeElement.name") == "confirm"


def test_from_an_id_to_the_reason_it_takes_one_search(page: Page, tenant: Tenant) -> None:
    user = tenant.add_user(customer_user_id="4711")
    tenant.add_event(user, title="Not recorded", outcome="skip", reason="no_meeting_url", rule=None, meeting_url=None)
    page.keyboard.press("/")
    page.keyboard.type("4711")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Not recorded").click()
    page.get_by_text("the invitation has no meeting link").first.wait_for()
