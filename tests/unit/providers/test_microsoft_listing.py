"""Which Outlook calendars are read, how, and what a failure half-way means."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from meetbot.domain.account_calendar import OWN_CALENDARS
from meetbot.errors import AccessTokenRejected, ReconnectRequired, ResourceGone, RetryLater
from meetbot.providers.base import CalendarRef, Listing
from meetbot.providers.listed_calendars import calendars_to_read
from meetbot.providers.microsoft.calendars import is_under, listed_calendars
from tests.unit.providers.scripted import (
    GRAPH,
    WINDOW_END,
    WINDOW_START,
    Script,
    graph_error,
    graph_event,
    microsoft,
    reply,
)

CALENDARS = "/v1.0/me/calendars"
DEFAULT_VIEW = "/v1.0/me/calendars/cal-default/calendarView"
SIDE = "/v1.0/me/calendars/cal-side"
SIDE_VIEW = f"{SIDE}/calendarView"

ME = {"name": "Ann", "address": "ann@acme.example"}
DEFAULT = {"id": "cal-default", "isDefaultCalendar": True, "canEdit": True, "owner": ME}
SIDE_CALENDAR = {"id": "cal-side", "isDefaultCalendar": False, "canEdit": True, "owner": ME}


def page(*events: dict[str, Any], following: str | None = None) -> httpx.Response:
    body: dict[str, Any] = {"value": list(events)}
    if following is not None:
        body["@odata.nextLink"] = following
    return reply(body)


def list_events(script: Script) -> Listing:
    granted = frozenset({"Calendars.Read"})
    return microsoft(script).list_events("token", window_start=WINDOW_START, window_end=WINDOW_END, granted=granted)


def one_calendar(view: Any) -> Script:
    return Script({CALENDARS: reply({"value": [DEFAULT]}), DEFAULT_VIEW: view})


def two_calendars(side: Any, **others: Any) -> Script:
    return Script(
        {
            CALENDARS: reply({"value": [SIDE_CALENDAR, DEFAULT]}),
            DEFAULT_VIEW: page(graph_event("e1")),
            SIDE_VIEW: side,
            **others,
        }
    )


def read_of(entries: list[dict[str, Any]]) -> list[CalendarRef]:
    """The calendars that are read of these in the account's list, unless something else is said."""
    return list(calendars_to_read(listed_calendars(entries), OWN_CALENDARS, own_path="").calendars)


def ids(listed: Listing) -> list[tuple[str, str]]:
    return [(event.calendar_id, event.id) for event in listed.events]


def test_the_window_is_asked_for_in_utc_with_immutable_ids() -> None:
    script = one_calendar(page())
    list_events(script)
    request = script.requests[1]
    assert request.url.params["startDateTime"] == "2026-03-09T09:00:00Z"
    assert request.url.params["endDateTime"] == "2026-04-09T09:00:00Z"
    assert request.url.params["$top"] == "500"
    for request in script.requests:
        assert request.headers["Prefer"] == 'outlook.timezone="UTC", IdType="ImmutableId"'
        assert request.headers["Authorization"] == "Bearer token"


def test_the_next_link_is_followed_verbatim_with_the_same_preferences() -> None:
    link = f"{GRAPH}/me/calendars/cal-default/calendarView?$skip=500&$skiptoken=a%2Fb"
    script = one_calendar([page(following=link), page(graph_event("e1"))])
    listed = list_events(script)
    assert str(script.requests[2].url) == link
    assert "ImmutableId" in script.requests[2].headers["Prefer"]
    assert ids(listed) == [("primary", "e1")]
    assert listed.complete_calendars == {"primary"}


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/me/calendarView?$skip=1",
        "https://graph.microsoft.com.evil.example/v1.0/me",
        "https://graph.microsoft.com@evil.example/v1.0/me",
        "https://ann@graph.microsoft.com/v1.0/me",
        "http://graph.microsoft.com/v1.0/me",
        "https://graph.microsoft.com:8443/v1.0/me",
        "https://graph.microsoft.com/beta/me",
        "https://graph.microsoft.com/v1.0evil/me",
        "https://graph.microsoft.com/v1.0/../beta/me",
        "https://graph.microsoft.com/v1.0/%2e%2e/beta/me",
        "https://graph.microsoft.com/v1.0/%252e%252e/beta/me",
        "https://graph.microsoft.com/v1.0/..\\beta",
        "https://graph.microsoft.com\\@evil.example/v1.0/me",
        "//evil.example/v1.0/me",
        "/v1.0/me",
        "https://graph.microsoft.com:x/v1.0/me",
        "https://[::1/v1.0/me",
        "https://graph.microsoft.com/v1.0/me\nX: y",
    ],
)
def test_a_next_link_to_another_server_is_refused_and_not_followed(link: str) -> None:
    script = one_calendar(page(graph_event("e1"), following=link))
    with pytest.raises(RetryLater) as caught:
        list_events(script)
    assert caught.value.code == "foreign_link"
    assert "evil" not in str(caught.value)
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    ("base", "link"),
    [
        (GRAPH, "https://graph.microsoft.com:443/v1.0/me/calendarView?$skip=1"),
        (GRAPH, "HTTPS://Graph.Microsoft.COM/v1.0/me/calendarView"),
        ("http://127.0.0.1:9000/graph/", "http://127.0.0.1:9000/graph/me?x=1"),
    ],
)
def test_a_next_link_may_spell_the_same_server_differently(base: str, link: str) -> None:
    assert is_under(base, link)


def test_an_event_on_two_pages_counts_once_in_its_newest_version() -> None:
    newer = graph_event("e1", subject="new", lastModifiedDateTime="2026-03-05T00:00:00Z")
    older = graph_event("e1", subject="old", lastModifiedDateTime="2026-03-04T00:00:00Z")
    script = one_calendar(
        [page(newer, following=f"{GRAPH}/me/calendars/cal-default/calendarView?$skip=1"), page(older)]
    )
    assert [orjson.loads(event.body)["subject"] for event in list_events(script).events] == ["new"]


@pytest.mark.parametrize("body", [{}, {"value": None}, [], "x", {"value": {}}])
def test_an_answer_without_a_list_is_never_taken_for_an_empty_calendar(body: object) -> None:
    with pytest.raises(RetryLater) as caught:
        list_events(one_calendar(reply(body)))
    assert caught.value.code == "malformed_answer"


def test_a_page_too_large_to_take_is_asked_for_in_smaller_pieces() -> None:
    def fat(request: httpx.Request) -> httpx.Response:
        size = 33 * 1024 * 1024 if request.url.params["$top"] == "500" else 10
        return page(graph_event("e1", body={"contentType": "html", "content": "x" * size}))

    script = one_calendar(fat)
    assert list_events(script).complete_calendars == {"primary"}
    assert [request.url.params.get("$top") for request in script.requests] == ["100", "500", "50"]


def test_own_editable_calendars_are_read_too_the_default_one_first() -> None:
    script = two_calendars(page(graph_event("e2")))
    assert ids(list_events(script)) == [("primary", "e1"), ("cal-side", "e2")]


@pytest.mark.parametrize(
    "entry",
    [
        {**SIDE_CALENDAR, "owner": {"address": "boss@acme.example"}},
        {**SIDE_CALENDAR, "owner": None},
        {**SIDE_CALENDAR, "canEdit": False},
        {"canEdit": True, "owner": ME},
    ],
)
def test_other_peoples_and_fixed_calendars_are_left_out(entry: dict[str, Any]) -> None:
    assert [calendar.id for calendar in read_of([DEFAULT, entry])] == ["primary"]


def test_without_a_known_default_calendar_the_default_path_is_read() -> None:
    script = Script({CALENDARS: reply({"value": []}), "/v1.0/me/calendarView": page(graph_event("e1"))})
    assert ids(list_events(script)) == [("primary", "e1")]


def test_of_too_many_calendars_the_same_25_are_read_in_any_order() -> None:
    entries = [{**SIDE_CALENDAR, "id": f"cal-{number:03}"} for number in range(60)]
    assert read_of([DEFAULT, *entries]) == read_of([*reversed(entries), DEFAULT])
    assert len(read_of([DEFAULT, *entries])) == 25


@pytest.mark.parametrize(
    "failure", [graph_error(403, "ErrorAccessDenied"), reply(b"", 500), httpx.ReadTimeout("slow"), reply(b"<html>")]
)
def test_a_failing_secondary_calendar_is_incomplete_and_the_others_are_read(failure: Any) -> None:
    listed = list_events(two_calendars(failure))
    assert listed.complete_calendars == {"primary"}
    assert listed.failed_calendars == {"cal-side"}


def test_a_secondary_calendar_that_is_gone_for_sure_is_named_so() -> None:
    gone = graph_error(404, "ErrorItemNotFound")
    listed = list_events(two_calendars(gone, **{SIDE: gone}))
    assert listed.complete_calendars == {"primary"}
    assert listed.gone_calendars == {"cal-side"}


def test_an_access_token_that_expires_half_way_is_reported() -> None:
    with pytest.raises(AccessTokenRejected):
        list_events(two_calendars(graph_error(401, "InvalidAuthenticationToken")))


def test_a_mailbox_that_graph_cannot_reach_is_explained() -> None:
    with pytest.raises(ReconnectRequired) as caught:
        list_events(Script({CALENDARS: graph_error(404, "MailboxNotEnabledForRESTAPI")}))
    assert caught.value.code == "mailbox_unsupported"
    assert "Exchange Online" in caught.value.next_step


def test_one_event_is_fetched_by_its_id_from_any_calendar() -> None:
    script = Script({"/v1.0/me/events/AAMk%2F1%3D": reply(graph_event("AAMk/1="))})
    raw = microsoft(script).get_event("token", calendar_id="primary", provider_event_id="AAMk/1=", timeout_seconds=10)
    assert raw["id"] == "AAMk/1="
    assert "onlineMeeting" in script.requests[0].url.params["$select"]
    assert "ImmutableId" in script.requests[0].headers["Prefer"]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "ErrorItemNotFound"), (410, "Gone"), (400, "ErrorInvalidIdMalformed")]
)
def test_an_event_that_is_not_there_is_gone(status: int, code: str) -> None:
    script = Script({"/v1.0/me/events/e1": graph_error(status, code)})
    with pytest.raises(ResourceGone):
        microsoft(script).get_event("token", calendar_id="primary", provider_event_id="e1", timeout_seconds=10)
