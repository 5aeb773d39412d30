"""Cases 4 to 6, 8, 62, 63, 65, 73, 74 and 79: a provider that refuses, or answers nonsense.

The numbers are those of docs/calendar-cases.md. Whatever the answer is, nobody is disconnected, nothing is cancelled, and the
next sync goes on.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from meetbot.calendars.listing_diff import window_at
from meetbot.domain.event import Provider
from meetbot.errors import ProviderError, RetryLater
from meetbot.storage.calendar_user_context import load_context
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"
API = {Provider.GOOGLE: "/google/calendar/v3", Provider.MICROSOFT: "/microsoft/v1.0"}
LISTING = {
    Provider.GOOGLE: "/google/calendar/v3/calendars/primary/events",
    Provider.MICROSOFT: "/microsoft/v1.0/me/calendars",
}
TOKEN = {Provider.GOOGLE: "/google/token", Provider.MICROSOFT: "/microsoft/common/oauth2/v2.0/token"}
HTML = "<!DOCTYPE html><html><title>Sorry...</title><body>502. That's an error.</body></html>"

NONSENSE: list[dict[str, Any]] = [
    {"status": 502, "html": HTML},
    {"status": 503, "html": ""},
    {"status": 200, "html": HTML},
    {"status": 200, "body": ""},
    {"status": 200, "body": "null"},
    {"status": 200, "body": []},
    {"status": 200, "body": {}},
    {"status": 200, "body": {"items": None, "value": None}},
    {"status": 200, "body": {"items": "none", "value": "none"}},
    {"status": 200, "body": "{" * 50_000},
    {"status": 403, "html": HTML},
    {"status": 500, "body": {"error": None}},
    {"status": 302, "headers": {"location": "https://elsewhere.example/"}, "body": ""},
    {"drop": True},
    {"truncate": True},
]
EXPIRED: list[dict[str, Any]] = [
    {"status": 410, "reason": "fullSyncRequired"},
    {"status": 410, "body": {"error": {"code": 410}}},
    {"status": 410, "body": "", "headers": {"location": "https://elsewhere.example/"}},
    {"status": 410, "reason": "resyncRequired"},
    {"status": 400, "reason": "invalid"},
    {"status": 400, "reason": "syncStateNotFound"},
]


def connected_with_meeting(rig: Rig, provider: Provider) -> tuple[str, str]:
    user = rig.connect(rig.sandbox.account(ADA, provider), provider)
    rig.sandbox.event(ADA)
    (entry,) = rig.planned(user)
    return user, entry.meeting_key


def fails(rig: Rig, user: str, path: str, action: dict[str, Any], *, skip: int = 0) -> ProviderError:
    rig.sandbox.post("/control/faults", {"match": {"path": path}, "skip": skip, "action": action})
    with pytest.raises(ProviderError) as caught:
        rig.sync(user)
    rig.sandbox.clear_faults()
    return caught.value


def is_untouched(rig: Rig, user: str, meeting_key: str) -> bool:
    """Sync again, and return whether all is as it was before the bad answer."""
    row = rig.calendar_user(user)
    assert (row.state, row.error_code is None) == ("active", False)
    (entry,) = rig.planned(user)
    (event,) = rig.events(user)
    assert rig.calendar_user(user).error_code is None
    return entry.meeting_key == meeting_key and not event.deleted


@BOTH
@pytest.mark.parametrize("action", NONSENSE)
def test_case_62_an_answer_that_makes_no_sense_is_waited_out(
    rig: Rig, provider: Provider, action: dict[str, Any]
) -> None:
    user, key = connected_with_meeting(rig, provider)
    assert isinstance(fails(rig, user, LISTING[provider], action), RetryLater)
    assert is_untouched(rig, user, key)


@BOTH
@pytest.mark.parametrize("action", EXPIRED)
def test_cases_04_05_and_73_an_answer_of_an_expired_listing_begins_anew(
    rig: Rig, provider: Provider, action: dict[str, Any]
) -> None:
    user, key = connected_with_meeting(rig, provider)
    fails(rig, user, LISTING[provider], action)
    assert is_untouched(rig, user, key)


@pytest.mark.parametrize("action", [{"status": 410, "reason": "fullSyncRequired"}, {"status": 500}, {"drop": True}])
def test_cases_06_and_08_a_later_page_that_fails_cancels_nothing(rig: Rig, action: dict[str, Any]) -> None:
    user, key = connected_with_meeting(rig, Provider.GOOGLE)
    path = LISTING[Provider.GOOGLE]
    rig.sandbox.post("/control/faults", {"match": {"path": path}, "times": 1, "action": {"empty_page": True}})
    fails(rig, user, path, action)
    assert is_untouched(rig, user, key)


@BOTH
@pytest.mark.parametrize("action", [{"status": 200, "html": HTML}, {"status": 200, "body": {}}, {"truncate": True}])
def test_case_62_a_token_answer_that_makes_no_sense_is_waited_out(
    rig: Rig, provider: Provider, action: dict[str, Any]
) -> None:
    user, key = connected_with_meeting(rig, provider)
    rig.services.tokens.forget(rig.tenant_id, user)
    assert isinstance(fails(rig, user, TOKEN[provider], action), RetryLater)
    assert is_untouched(rig, user, key)


def test_case_63_a_secondary_calendar_that_is_gone_takes_nothing_from_the_others(rig: Rig) -> None:
    rig.sandbox.account(ADA)
    second = rig.sandbox.post(f"/control/accounts/{ADA}/calendars", {"name": "Second"})
    user = rig.connect(ADA)
    rig.sandbox.event(ADA, title="stays")
    rig.sandbox.event(ADA, title="goes", calendar_id=second["id"])
    assert len(rig.planned(user)) == 2
    rig.sandbox.http.delete(f"/control/accounts/{ADA}/calendars/{second['id']}").raise_for_status()
    (entry,) = rig.planned(user)
    assert [event.title for event in rig.events(user) if event.meeting_key == entry.meeting_key] == ["stays"]


def test_case_65_a_refresh_whose_answer_is_lost_costs_no_connection(rig: Rig) -> None:
    user, key = connected_with_meeting(rig, Provider.MICROSOFT)
    rig.services.tokens.forget(rig.tenant_id, user)
    rig.sandbox.post(
        "/control/faults",
        {"match": {"path": TOKEN[Provider.MICROSOFT]}, "when": "after", "times": 1, "action": {"drop": True}},
    )
    with pytest.raises(RetryLater):
        rig.sync(user)
    assert is_untouched(rig, user, key)


def test_case_74_a_next_page_on_another_host_gets_no_token(rig: Rig) -> None:
    user, key = connected_with_meeting(rig, Provider.MICROSOFT)
    body = {"value": [], "@odata.nextLink": f"{rig.settings.backend_url}/steal"}
    error = fails(rig, user, LISTING[Provider.MICROSOFT], {"status": 200, "body": body})
    assert error.code == "foreign_link"
    assert rig.sandbox.counts("/backend/steal") == 0
    assert is_untouched(rig, user, key)


@BOTH
def test_case_79_no_request_holds_several_and_a_mailbox_is_asked_one_at_a_time(rig: Rig, provider: Provider) -> None:
    user, _ = connected_with_meeting(rig, provider)
    rig.sync(user)
    paths = [entry["path"] for entry in rig.sandbox.http.get("/control/requests").json()]
    assert not [path for path in paths if "batch" in path]


@BOTH
@pytest.mark.parametrize(
    "odd",
    [
        {"id": "odd"},
        {"id": "odd", "start": None, "end": None, "organizer": None, "attendees": None, "subject": None, "body": None},
        {"id": "odd", "start": {"dateTime": None}, "attendees": [None, {"emailAddress": None}, {"email": None}]},
        {"id": "odd", "start": {"dateTime": "0001-01-01T00:00:00.0000000", "timeZone": "UTC"}, "isAllDay": True},
        {"id": "odd", "recurrence": {"pattern": None}, "type": "exception", "seriesMasterId": None},
        {"id": "odd", "summary": "x\x00y", "subject": "x\x00y", "iCalUID": 7, "iCalUId": [1]},
        {"id": "o" * 5_000, "start": "today"},
    ],
)
def test_an_event_with_fields_missing_or_null_takes_no_other_with_it(
    rig: Rig, provider: Provider, odd: dict[str, Any]
) -> None:
    user = rig.connect(rig.sandbox.account(ADA, provider), provider)
    rig.sandbox.event(ADA, title="fine")
    listing, page = _page_with(rig, user, provider, odd)
    rig.sandbox.post("/control/faults", {"match": {"path_regex": listing}, "action": {"status": 200, "body": page}})
    (entry,) = rig.planned(user)
    assert [event.title for event in rig.events(user) if event.meeting_key == entry.meeting_key] == ["fine"]
    row = rig.calendar_user(user)
    assert (row.state, row.error_code) == ("active", None)


def _page_with(rig: Rig, user: str, provider: Provider, odd: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The pattern of a listing's path, and its page with one odd event before the real one."""
    window = window_at(rig.clock(), 35)
    with rig.read() as session:
        context = load_context(session, rig.tenant_id, user)
    assert context is not None
    found = rig.services.tokens.call(
        context,
        lambda token: rig.services.providers[provider].list_events(
            token, window_start=window.start, window_end=window.end, granted=context.scopes
        ),
    )
    events = [odd, *(orjson.loads(one.body) for one in found.events)]
    if provider is Provider.GOOGLE:
        return "calendars/primary/events$", {"kind": "calendar#events", "accessRole": "owner", "items": events}
    return "calendarView$", {"value": events}
