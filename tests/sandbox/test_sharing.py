"""Calendars that people share, as Google's and Microsoft's own clients see them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from kiota_abstractions.api_error import APIError

from tests.sandbox import discovery
from tests.sandbox.driver import Driver
from tests.sandbox.test_microsoft_sdk import _client, _view
from tests.sandbox.test_third_party_clients import _google_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ADA, BOSS = "ada@acme.test", "boss@acme.test"
GRACE, CHIEF = "grace@acme.test", "chief@acme.test"


def share(sandbox: Driver, owner: str, reader: str, role: str, calendar: str | None = None) -> dict[str, Any]:
    path = f"/accounts/{owner}/calendars/{calendar or owner}/shares"
    return dict(sandbox.control("POST", path, {"email": reader, "access_role": role}))


def with_boss(sandbox: Driver, role: str = "reader") -> Any:
    sandbox.account(BOSS)
    sandbox.event(BOSS, title="Board", platform="google_meet")
    share(sandbox, BOSS, ADA, role)
    return _google_service(sandbox, sandbox.connect("google", ADA))


def test_googles_own_client_lists_and_reads_a_shared_calendar(sandbox: Driver) -> None:
    service = with_boss(sandbox, "writer")
    with service.calendarList() as calendars, service.events() as events:
        listed = {one["id"]: one for one in calendars.list().execute()["items"]}
        entry = calendars.get(calendarId=BOSS).execute()
        page = events.list(calendarId=BOSS).execute()
    assert (listed[BOSS]["accessRole"], listed[BOSS].get("primary")) == ("writer", None)
    assert entry == listed[BOSS]
    assert [item["summary"] for item in page["items"]] == ["Board"]
    discovery.check("CalendarListEntry", entry)
    discovery.check("Events", page)


def test_of_a_free_busy_calendar_google_shows_times_alone(sandbox: Driver) -> None:
    service = with_boss(sandbox, "freeBusyReader")
    with service.events() as events:
        page = events.list(calendarId=BOSS).execute()
    assert page["accessRole"] == "freeBusyReader"
    (item,) = page["items"]
    assert item.keys() & {"summary", "organizer", "hangoutLink", "attendees"} == set()
    discovery.check("Events", page)


def test_a_calendar_shared_no_more_is_not_found_at_google(sandbox: Driver) -> None:
    service = with_boss(sandbox)
    sandbox.control("DELETE", f"/accounts/{BOSS}/calendars/{BOSS}/shares/{ADA}")
    with service.calendarList() as calendars, service.events() as events:
        assert BOSS not in [one["id"] for one in calendars.list().execute()["items"]]
        for request in (calendars.get(calendarId=BOSS), events.list(calendarId=BOSS)):
            with pytest.raises(HttpError) as gone:
                request.execute()
            assert gone.value.resp.status == 404


def test_google_lists_hidden_calendars_and_lesser_roles_only_if_asked(sandbox: Driver) -> None:
    service = with_boss(sandbox, "reader")
    second = sandbox.control("POST", f"/accounts/{ADA}/calendars", {"name": "Second"})["id"]
    sandbox.control("PATCH", f"/accounts/{ADA}/calendars/{second}", {"hidden": True})

    def ids(**query: Any) -> set[str]:
        with service.calendarList() as calendars:
            return {one["id"] for one in calendars.list(**query).execute()["items"]}

    assert ids() == {ADA, BOSS}
    assert ids(showHidden=True) == {ADA, BOSS, second}
    assert ids(minAccessRole="writer", showHidden=True) == {ADA, second}


def with_chief(sandbox: Driver, role: str) -> tuple[str, str]:
    """Grace's token, with whom the chief shares a calendar, and its id in her mailbox."""
    sandbox.account(CHIEF, "microsoft")
    sandbox.event(CHIEF, title="Board", start="2026-01-06T09:00:00Z", platform="microsoft_teams")
    shared = share(sandbox, CHIEF, GRACE, role)["graph_id"]
    return sandbox.connect("microsoft", GRACE)["access_token"], shared


def test_microsofts_own_sdk_lists_and_reads_a_shared_calendar(sandbox: Driver) -> None:
    token, shared = with_chief(sandbox, "writer")

    async def read() -> tuple[Any, Any, Any]:
        async with _client(sandbox, token) as client:
            listed = await client.me.calendars.get()
            calendar = client.me.calendars.by_calendar_id(shared)
            return listed, await calendar.get(), await calendar.calendar_view.get(_view())

    listed, entry, view = asyncio.run(read())
    found = {one.id: one for one in listed.value}
    assert (found[shared].can_edit, found[shared].can_share, found[shared].owner.address) == (True, False, CHIEF)
    assert entry.name == found[shared].name
    assert [event.subject for event in view.value] == ["Board"]


def test_an_event_of_a_shared_calendar_is_found_only_through_it(sandbox: Driver) -> None:
    token, shared = with_chief(sandbox, "reader")

    async def read() -> Any:
        async with _client(sandbox, token) as client:
            view = await client.me.calendars.by_calendar_id(shared).calendar_view.get(_view())
            assert view is not None
            assert view.value is not None
            event_id = str(view.value[0].id)
            with pytest.raises(APIError):
                await client.me.events.by_event_id(event_id).get()
            return await client.me.calendars.by_calendar_id(shared).events.by_event_id(event_id).get()

    assert asyncio.run(read()).subject == "Board"


def test_of_a_free_busy_calendar_graph_shows_times_alone(sandbox: Driver) -> None:
    token, shared = with_chief(sandbox, "freeBusyReader")

    async def read() -> Any:
        async with _client(sandbox, token) as client:
            return await client.me.calendars.by_calendar_id(shared).calendar_view.get(_view())

    (event,) = asyncio.run(read()).value
    assert (event.subject, event.organizer, event.attendees, event.online_meeting) == ("Busy", None, [], None)


def test_graph_takes_no_subscription_to_a_shared_calendar(sandbox: Driver) -> None:
    token, shared = with_chief(sandbox, "writer")
    body = {
        "changeType": "updated",
        "notificationUrl": "http://127.0.0.1:1/",
        "resource": f"me/calendars/{shared}/events",
        "expirationDateTime": "2026-01-06T09:00:00Z",
    }
    headers = {"Authorization": f"Bearer {token}"}
    answer = sandbox.http.post(f"{sandbox.base}/microsoft/v1.0/subscriptions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")
