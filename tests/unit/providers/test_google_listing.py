"""Which Google calendars are read, how, and what a failure half-way means."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from meetbot.domain.account_calendar import OWN_CALENDARS
from meetbot.errors import AccessTokenRejected, ProviderError, ReconnectRequired, ResourceGone, RetryLater
from meetbot.providers import listing
from meetbot.providers.base import CalendarRef, Listing
from meetbot.providers.google.adapter import CALENDAR_LIST_SCOPE, EVENTS_SCOPE
from meetbot.providers.google.calendars import listed_calendars
from meetbot.providers.listed_calendars import calendars_to_read
from tests.unit.providers.scripted import (
    WINDOW_END,
    WINDOW_START,
    Script,
    google,
    google_error,
    google_event,
    reply,
)

API = "/calendar/v3"
CALENDARS = f"{API}/users/me/calendarList"
PRIMARY = f"{API}/calendars/primary/events"
TEAM_ID = "team@group.calendar.google.com"
TEAM = f"{API}/calendars/team%40group.calendar.google.com/events"
TEAM_ENTRY = f"{CALENDARS}/team%40group.calendar.google.com"
CLUB_ID = "zclub@group.calendar.google.com"
CLUB = f"{API}/calendars/zclub%40group.calendar.google.com/events"

EVENTS_ONLY = frozenset({"openid", EVENTS_SCOPE})
ALL_SCOPES = EVENTS_ONLY | {CALENDAR_LIST_SCOPE}

MINE = {"id": "ann@acme.example", "primary": True, "accessRole": "owner"}
TEAM_CALENDAR = {"id": TEAM_ID, "accessRole": "owner", "dataOwner": "ann@acme.example"}
CLUB_CALENDAR = {"id": CLUB_ID, "accessRole": "owner", "dataOwner": "ann@acme.example"}


def page(*events: dict[str, Any], following: str | None = None, role: str = "owner") -> httpx.Response:
    body: dict[str, Any] = {"accessRole": role, "items": list(events)}
    if following is not None:
        body["nextPageToken"] = following
    return reply(body)


def list_events(script: Script, granted: frozenset[str] = ALL_SCOPES) -> Listing:
    return google(script).list_events("token", window_start=WINDOW_START, window_end=WINDOW_END, granted=granted)


def read_of(entries: list[dict[str, Any]]) -> list[CalendarRef]:
    """The calendars that are read of these in the account's list, unless something else is said."""
    return list(calendars_to_read(listed_calendars(entries), OWN_CALENDARS, own_path="primary").calendars)


def ids(listed: Listing) -> list[tuple[str, str]]:
    return [(event.calendar_id, event.id) for event in listed.events]


# The request


def test_the_window_is_asked_for_as_single_occurrences_with_deleted_ones() -> None:
    script = Script({PRIMARY: page()})
    list_events(script, EVENTS_ONLY)
    query = script.requests[0].url.params
    assert query["singleEvents"] == "true"
    assert query["showDeleted"] == "true"
    assert query["timeMin"] == "2026-03-09T09:00:00Z"
    assert query["timeMax"] == "2026-04-09T09:00:00Z"
    assert query["maxResults"] == "2500"
    assert query.get_list("eventTypes") == ["default", "fromGmail", "focusTime", "outOfOffice"]
    assert script.requests[0].headers["Authorization"] == "Bearer token"


def test_no_parameter_is_sent_that_google_forbids_beside_a_window() -> None:
    script = Script({PRIMARY: page()})
    list_events(script, EVENTS_ONLY)
    assert not script.requests[0].url.params.keys() & {"syncToken", "q", "iCalUID", "updatedMin"}


# Paging


def test_an_empty_page_with_a_next_page_is_not_the_end() -> None:
    script = Script({PRIMARY: [page(following="p2"), page(google_event("e1"))]})
    listed = list_events(script, EVENTS_ONLY)
    assert ids(listed) == [("primary", "e1")]
    assert listed.complete_calendars == {"primary"}
    assert script.requests[1].url.params["pageToken"] == "p2"


def test_an_event_on_two_pages_counts_once_in_its_newest_version() -> None:
    newer = google_event("e1", summary="new", updated="2026-03-05T00:00:00.000Z")
    older = google_event("e1", summary="old", updated="2026-03-04T00:00:00.000Z")
    script = Script({PRIMARY: [page(newer, following="p2"), page(older)]})
    listed = list_events(script, EVENTS_ONLY)
    assert [orjson.loads(event.body)["summary"] for event in listed.events] == ["new"]


def test_a_later_skeleton_replaces_the_event_it_deletes() -> None:
    script = Script({PRIMARY: [page(google_event("e1"), following="p2"), page({"id": "e1", "status": "cancelled"})]})
    listed = list_events(script, EVENTS_ONLY)
    assert [orjson.loads(event.body)["status"] for event in listed.events] == ["cancelled"]


def test_items_that_are_no_events_are_left_out() -> None:
    body = {"accessRole": "owner", "items": [None, "x", {"status": "confirmed"}, google_event("e1")]}
    assert ids(list_events(Script({PRIMARY: reply(body)}), EVENTS_ONLY)) == [("primary", "e1")]


def test_a_failure_on_the_second_page_of_the_primary_calendar_fails_the_listing() -> None:
    script = Script({PRIMARY: [page(google_event("e1"), following="p2"), reply(b"<html>", 503)]})
    with pytest.raises(RetryLater) as caught:
        list_events(script, EVENTS_ONLY)
    assert caught.value.code == "provider_unavailable"


def test_a_page_that_leads_back_to_an_earlier_one_ends_in_an_error() -> None:
    script = Script({PRIMARY: page(google_event("e1"), following="p2")})
    with pytest.raises(RetryLater) as caught:
        list_events(script, EVENTS_ONLY)
    assert caught.value.code == "page_loop"
    assert len(script.requests) == 2


def endless(request: httpx.Request) -> httpx.Response:
    number = int(request.url.params.get("pageToken", "0"))
    return page(google_event(f"e{number}"), following=str(number + 1))


def test_a_page_with_an_unreadable_item_makes_the_calendar_incomplete() -> None:
    listed = list_events(Script({PRIMARY: page(google_event("e1"), {"kind": "nonsense"})}), EVENTS_ONLY)
    assert [event.id for event in listed.events] == ["e1"]
    assert (set(listed.complete_calendars), set(listed.failed_calendars)) == (set(), {"primary"})


def test_a_listing_without_end_is_cut_and_not_called_complete() -> None:
    script = Script({PRIMARY: endless})
    listed = list_events(script, EVENTS_ONLY)
    assert len(script.requests) == listing.MAX_PAGES
    assert len(listed.events) == listing.MAX_PAGES
    assert listed.complete_calendars == frozenset()
    assert listed.failed_calendars == {"primary"}
    assert listed.faults == {"primary": "listing_cut_short"}


@pytest.mark.parametrize(("limit", "value", "pages"), [("MAX_EVENTS", 3, 4), ("MAX_BYTES", 1, 1)])
def test_a_listing_over_its_size_is_cut_and_not_called_complete(
    limit: str, value: int, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, limit, value)
    script = Script({PRIMARY: endless})
    listed = list_events(script, EVENTS_ONLY)
    assert len(script.requests) == pages
    assert listed.failed_calendars == {"primary"}


def test_a_page_too_large_to_take_is_asked_for_in_smaller_pieces() -> None:
    def fat(request: httpx.Request) -> httpx.Response:
        size = 33 * 1024 * 1024 if request.url.params["maxResults"] == "2500" else 10
        return page(google_event("e1", description="x" * size))

    script = Script({PRIMARY: fat})
    listed = list_events(script, EVENTS_ONLY)
    assert [request.url.params["maxResults"] for request in script.requests] == ["2500", "250"]
    assert ids(listed) == [("primary", "e1")]
    assert listed.complete_calendars == {"primary"}


def test_a_listing_that_uses_up_its_time_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meetbot.providers.google.adapter.LISTING_SECONDS", 0.0)
    with pytest.raises(RetryLater) as caught:
        list_events(Script({PRIMARY: page()}), EVENTS_ONLY)
    assert caught.value.code == "listing_timeout"


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": {}}, [], "x", {"accessRole": "owner", "items": 5}])
def test_an_answer_without_a_list_is_never_taken_for_an_empty_calendar(body: object) -> None:
    with pytest.raises(RetryLater) as caught:
        list_events(Script({PRIMARY: reply(body)}), EVENTS_ONLY)
    assert caught.value.code == "malformed_answer"


@pytest.mark.parametrize("token", [5, ["x"], "x" * 20_000])
def test_an_unusable_page_token_is_never_taken_for_the_last_page(token: object) -> None:
    with pytest.raises(RetryLater) as caught:
        list_events(Script({PRIMARY: reply({"items": [], "nextPageToken": token})}), EVENTS_ONLY)
    assert caught.value.code == "malformed_answer"


def test_a_title_with_half_an_emoji_does_not_hide_the_calendar() -> None:
    body = b'{"accessRole": "owner", "items": [{"id": "e1", "summary": "\\ud83d"}]}'
    listed = list_events(Script({PRIMARY: reply(body)}), EVENTS_ONLY)
    event = google(Script({})).normalise("primary", orjson.loads(listed.events[0].body), owner_email="ann@acme.example")
    assert event is not None
    assert event.title == "\ufffd"


def test_a_calendar_that_shows_only_free_and_busy_is_incomplete() -> None:
    listed = list_events(Script({PRIMARY: page({"id": "busy"}, role="freeBusyReader")}), EVENTS_ONLY)
    assert ids(listed) == []
    assert listed.complete_calendars == frozenset()
    assert listed.failed_calendars == {"primary"}
    assert listed.faults == {"primary": "free_busy_only"}


# Which calendars


def test_without_the_calendar_list_permission_only_the_primary_calendar_is_read() -> None:
    script = Script({PRIMARY: page(google_event("e1"))})
    listed = list_events(script, EVENTS_ONLY)
    assert script.paths() == [PRIMARY]
    assert listed.complete_calendars == {"primary"}


def test_the_primary_calendar_has_the_same_id_with_and_without_the_calendar_list() -> None:
    listing_ids = {
        list_events(Script({CALENDARS: reply({"items": [MINE]}), PRIMARY: page()}), granted).complete_calendars
        for granted in (EVENTS_ONLY, ALL_SCOPES)
    }
    assert listing_ids == {frozenset({"primary"})}


def test_own_secondary_calendars_are_read_too() -> None:
    script = Script(
        {
            CALENDARS: [reply({"items": [], "nextPageToken": "2"}), reply({"items": [MINE, TEAM_CALENDAR]})],
            PRIMARY: page(google_event("e1")),
            TEAM: page(google_event("e1")),
        }
    )
    listed = list_events(script)
    assert ids(listed) == [("primary", "e1"), (TEAM_ID, "e1")]
    assert listed.complete_calendars == {"primary", TEAM_ID}


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "boss@acme.example", "accessRole": "owner"},
        {"id": TEAM_ID, "accessRole": "owner", "dataOwner": "boss@acme.example"},
        {"id": TEAM_ID, "accessRole": "writer"},
        {"id": TEAM_ID, "accessRole": "reader"},
        {"id": TEAM_ID, "accessRole": "freeBusyReader"},
        {"id": TEAM_ID},
        {"id": "room@resource.calendar.google.com", "accessRole": "owner"},
        {"id": "en.german#holiday@group.v.calendar.google.com", "accessRole": "owner"},
        {**TEAM_CALENDAR, "hidden": True},
        {**TEAM_CALENDAR, "deleted": True},
        {"accessRole": "owner"},
        {"id": 5, "accessRole": "owner"},
    ],
)
def test_other_peoples_and_unwanted_calendars_are_left_out(entry: dict[str, Any]) -> None:
    assert [calendar.id for calendar in read_of([MINE, entry])] == ["primary"]


def test_a_calendar_unticked_in_the_margin_is_still_read() -> None:
    assert TEAM_ID in [calendar.id for calendar in read_of([MINE, {**TEAM_CALENDAR, "selected": False}])]


def test_of_too_many_calendars_the_same_25_are_read_in_any_order() -> None:
    entries = [{"id": f"c{number:03}@group.calendar.google.com", "accessRole": "owner"} for number in range(60)]
    one, other = read_of([MINE, *entries]), read_of([*reversed(entries), MINE])
    assert one == other
    assert len(one) == 25
    assert one[0].id == "primary"


def test_a_calendar_list_permission_taken_back_leaves_the_primary_calendar() -> None:
    script = Script({CALENDARS: google_error(403, "insufficientPermissions"), PRIMARY: page()})
    assert list_events(script).complete_calendars == {"primary"}


def test_a_calendar_list_that_fails_fails_the_listing() -> None:
    script = Script({CALENDARS: reply(b"", 500), PRIMARY: page()})
    with pytest.raises(RetryLater):
        list_events(script)


def test_a_calendar_list_without_end_fails_the_listing() -> None:
    with pytest.raises(RetryLater) as caught:
        list_events(Script({CALENDARS: reply({"items": [MINE], "nextPageToken": "again"}), PRIMARY: page()}))
    assert caught.value.code == "too_many_calendars"


# One calendar of several fails


def of_three(team: Any, **others: Any) -> Script:
    return Script(
        {
            CALENDARS: reply({"items": [MINE, TEAM_CALENDAR, CLUB_CALENDAR]}),
            PRIMARY: page(google_event("e1")),
            TEAM: team,
            CLUB: page(google_event("e3")),
            **others,
        }
    )


@pytest.mark.parametrize(
    "failure",
    [
        google_error(403, "forbidden"),
        reply(b"<html>", 500),
        reply(b"not json"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        reply({}, 302, {"Location": "https://elsewhere.example"}),
    ],
)
def test_a_failing_secondary_calendar_is_incomplete_and_the_others_are_read(failure: Any) -> None:
    listed = list_events(of_three(failure))
    assert ids(listed) == [("primary", "e1"), (CLUB_ID, "e3")]
    assert listed.complete_calendars == {"primary", CLUB_ID}
    assert listed.failed_calendars == {TEAM_ID}


def test_what_a_secondary_calendar_showed_before_it_failed_is_kept() -> None:
    listed = list_events(of_three([page(google_event("e2"), following="p2"), reply(b"", 502)]))
    assert (TEAM_ID, "e2") in ids(listed)
    assert listed.failed_calendars == {TEAM_ID}


def test_a_secondary_calendar_that_is_gone_for_sure_is_named_so() -> None:
    listed = list_events(of_three(google_error(404, "notFound"), **{TEAM_ENTRY: google_error(404, "notFound")}))
    assert listed.complete_calendars == {"primary", CLUB_ID}
    assert listed.gone_calendars == {TEAM_ID}
    assert listed.failed_calendars == set()
    assert [event_id for calendar_id, event_id in ids(listed) if calendar_id == TEAM_ID] == []


@pytest.mark.parametrize("second", [reply({"id": TEAM_ID}), reply(b"", 503)])
def test_a_404_that_is_not_confirmed_makes_the_calendar_incomplete(second: httpx.Response) -> None:
    listed = list_events(of_three(google_error(404, "notFound"), **{TEAM_ENTRY: second}))
    assert listed.failed_calendars == {TEAM_ID}


def test_after_a_throttled_request_no_other_calendar_is_read() -> None:
    script = of_three(google_error(403, "rateLimitExceeded"))
    listed = list_events(script)
    assert CLUB not in script.paths()
    assert listed.failed_calendars == {TEAM_ID, CLUB_ID}


def test_an_access_token_that_expires_half_way_is_reported() -> None:
    with pytest.raises(AccessTokenRejected):
        list_events(of_three(google_error(401, "authError")))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (google_error(404, "notFound"), ResourceGone),
        (google_error(403, "insufficientPermissions"), ReconnectRequired),
        (google_error(401, "authError"), AccessTokenRejected),
        (google_error(429, "rateLimitExceeded"), RetryLater),
    ],
)
def test_a_failure_of_the_primary_calendar_is_the_listings(answer: httpx.Response, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        list_events(Script({PRIMARY: answer}), EVENTS_ONLY)
