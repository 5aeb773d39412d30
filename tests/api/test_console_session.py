"""Who gets in to the console, and what a session may do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from api.console.session import COOKIE
from meetbot.storage.tables import ConsoleSession
from tests.api.console_visitor import PAGES, Visitor, signed_in, visitor

__all__ = ["signed_in", "visitor"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_a_stranger_to_the_sign_in_and_back(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in?back=/console")


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/v1/tenant", "/console\\..", "/consoleevil"]
)
def test_a_sign_in_leads_only_to_pages_of_the_console(visitor: Visitor, back: str) -> None:
    location = visitor.sign_in(back=back).headers["location"]
    assert location == "/console"


@pytest.mark.parametrize("key", ["", "mb_test_guessed", "x" * 5000])
def test_a_key_that_does_not_work_opens_nothing(visitor: Visitor, key: str) -> None:
    answer = visitor.sign_in(key=key)
    assert answer.status_code == 401
    assert "does not work" in answer.text
    assert COOKIE not in visitor.client.cookies


def test_a_sign_in_sent_by_another_site_is_refused(visitor: Visitor) -> None:
    visitor.client.headers["sec-fetch-site"] = "cross-site"
    assert visitor.sign_in().status_code == 403
    assert COOKIE not in visitor.client.cookies


def test_the_cookie_is_kept_from_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.sign_in().headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert visitor.tenant.key not in cookie


def test_the_database_holds_no_key_of_a_session_in_clear(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.exec(select(ConsoleSession)).one()
    assert tenant.key.encode() not in row.sealed_key + row.secret_hash


@pytest.mark.parametrize(
    "change",
    [lambda parts: [*parts[:2], "guessed"], lambda parts: ["ten_other", *parts[1:]], lambda parts: ["", "", ""]],
)
def test_a_forged_cookie_is_no_session(signed_in: Visitor, change: Any) -> None:
    parts = signed_in.client.cookies[COOKIE].split(".")
    forged = signed_in.tenant.front.browser()
    forged.cookies.set(COOKIE, ".".join(change(parts)), path="/console")
    assert forged.get("/console").status_code == 303


def test_a_revoked_key_ends_its_sessions_at_once(signed_in: Visitor) -> None:
    tenant = signed_in.tenant
    other = Visitor(tenant)
    key = tenant.key_with("calendars:read", "tenant:read")
    other.sign_in(key=key)
    assert other.get("/console/calendars").status_code == 200
    public_id = key.split("_")[2]
    assert tenant.delete(f"/api-keys/{public_id}").status_code == 204
    assert other.get("/console/calendars").status_code == 303


def test_after_a_sign_out_the_old_cookie_opens_nothing(signed_in: Visitor) -> None:
    cookie = signed_in.client.cookies[COOKIE]
    assert signed_in.post("/console/sign-out", "/console").headers["location"] == "/console/sign-in"
    again = signed_in.tenant.front.browser()
    again.cookies.set(COOKIE, cookie, path="/console")
    assert again.get("/console").status_code == 303


@pytest.mark.parametrize("token", ["", "guessed"])
def test_a_form_without_the_sessions_token_changes_nothing(signed_in: Visitor, token: str) -> None:
    answer = signed_in.client.post("/console/settings", data={"csrf": token, "name": "Taken over"})
    assert answer.status_code == 403
    assert signed_in.tenant.get("/tenant").json()["name"] != "Taken over"


def test_a_read_only_session_looks_and_changes_nothing(visitor: Visitor) -> None:
    visitor.sign_in(read_only="on")
    assert "read only" in visitor.get("/console").text
    answer = visitor.post("/console/settings", "/console/settings", name="Changed")
    assert answer.status_code == 403
    assert visitor.tenant.get("/tenant").json()["name"] == "Test"


def test_a_page_says_which_scope_its_key_lacks(visitor: Visitor) -> None:
    visitor.sign_in(key=visitor.tenant.key_with("calendars:read"))
    answer = visitor.get("/console/webhooks")
    assert answer.status_code == 403
    assert "webhooks:read" in answer.text


def test_the_overview_works_with_a_key_that_may_see_little(visitor: Visitor) -> None:
    visitor.sign_in(key=visitor.tenant.key_with("calendars:read"))
    assert visitor.get("/console").status_code == 200


def test_another_tenants_calendar_is_not_found(signed_in: Visitor, new_tenant: Any) -> None:
    stranger = new_tenant().add_user()
    assert signed_in.get(f"/console/calendars/{stranger.id}").status_code == 404
