"""Clients that others wrote for the real providers work against the sandbox."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import aiohttp
import pytest
from gcal_sync.api import GoogleCalendarService, ListEventsRequest, SyncEventsRequest
from gcal_sync.auth import AbstractAuth
from gcal_sync.store import InMemoryCalendarStore
from gcal_sync.sync import CalendarEventSyncManager
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.sandbox.driver import CLIENT_ID, CLIENT_SECRET, Driver

ADA, GRACE = "ada@acme.test", "grace@acme.test"
WEEK = {"timeMin": "2026-01-05T00:00:00Z", "timeMax": "2026-01-12T00:00:00Z"}


def _google_service(sandbox: Driver, tokens: dict[str, Any]) -> Any:
    credentials = Credentials(  # type: ignore[no-untyped-call]
        tokens["access_token"],
        refresh_token=tokens["refresh_token"],
        token_uri=f"{sandbox.base}/google/token",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    options = {"api_endpoint": f"{sandbox.base}/google/calendar/v3/"}
    return build("calendar", "v3", credentials=credentials, static_discovery=True, client_options=options)


def test_googles_own_client_pages_syncs_and_survives_410(sandbox: Driver) -> None:
    service = _google_service(sandbox, sandbox.connect("google", ADA))
    keys = [sandbox.event(ADA, title=str(number))["key"] for number in range(5)]
    with service.events() as events:
        titles, request = [], events.list(calendarId="primary", maxResults=2)
        while request is not None:
            page = request.execute()
            titles += [item["summary"] for item in page["items"]]
            request = events.list_next(request, page)
        sandbox.control("DELETE", f"/events/{keys[0]}")
        delta = events.list(calendarId="primary", maxResults=2, syncToken=page["nextSyncToken"]).execute()
        sandbox.control("POST", f"/accounts/{ADA}/expire-sync-tokens")
        with pytest.raises(HttpError) as gone:
            events.list(calendarId="primary", maxResults=2, syncToken=delta["nextSyncToken"]).execute()
    assert titles == ["0", "1", "2", "3", "4"]
    assert [item["status"] for item in delta["items"]] == ["cancelled"]
    assert gone.value.resp.status == 410


def test_googles_own_client_refreshes_an_expired_token_by_itself(sandbox: Driver) -> None:
    service = _google_service(sandbox, sandbox.connect("google", ADA))
    sandbox.event(ADA)
    sandbox.control("POST", f"/accounts/{ADA}/expire-access-tokens")
    with service.events() as events:
        assert len(events.list(calendarId="primary", **WEEK).execute()["items"]) == 1
    with service.calendarList() as calendars:
        assert calendars.list().execute()["items"][0]["primary"] is True


class _Auth(AbstractAuth):
    def __init__(self, session: aiohttp.ClientSession, host: str, token: str) -> None:
        super().__init__(session, host)
        self._token = token

    async def async_get_access_token(self) -> str:
        return self._token


def test_gcal_sync_keeps_its_store_up_to_date(sandbox: Driver) -> None:
    """The library refuses a last page without a sync token, and starts over after 410."""
    token = sandbox.connect("google", ADA)["access_token"]
    key = sandbox.event(ADA, title="first", start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])[
        "key"
    ]

    async def scenario() -> list[int]:
        counts = []
        async with aiohttp.ClientSession() as session:
            service = GoogleCalendarService(_Auth(session, f"{sandbox.base}/google/calendar/v3", token))
            manager = CalendarEventSyncManager(
                service,
                store=InMemoryCalendarStore(),
                request_template=SyncEventsRequest(calendar_id="primary", start_time=_utc(2026, 1, 1)),
            )
            for act in (
                lambda: None,
                lambda: sandbox.event(ADA, title="second"),
                lambda: sandbox.control("DELETE", f"/events/{key}", original_start="2026-01-06T09:00:00Z"),
                lambda: sandbox.control("POST", f"/accounts/{ADA}/expire-sync-tokens"),
                lambda: sandbox.control("DELETE", f"/events/{key}"),
            ):
                await asyncio.to_thread(act)
                await manager.run()
                timeline = (await manager.store_service.async_get_timeline(datetime.UTC)).overlapping(
                    _utc(2026, 1, 1), _utc(2026, 2, 1)
                )
                counts.append(len(list(timeline)))
        return counts

    assert asyncio.run(scenario()) == [3, 4, 3, 3, 1]


def test_gcal_sync_reads_expanded_events(sandbox: Driver) -> None:
    token = sandbox.connect("google", ADA)["access_token"]
    sandbox.event(ADA, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY"], platform="google_meet")

    async def scenario() -> int:
        async with aiohttp.ClientSession() as session:
            service = GoogleCalendarService(_Auth(session, f"{sandbox.base}/google/calendar/v3", token))
            request = ListEventsRequest(calendar_id="primary", start_time=_utc(2026, 1, 5), end_time=_utc(2026, 1, 12))
            return sum([len(page.items) async for page in await service.async_list_events(request)])

    assert asyncio.run(scenario()) == 7


def _utc(year: int, month: int, day: int) -> datetime.datetime:
    return datetime.datetime(year, month, day, tzinfo=datetime.UTC)
