from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.driver import Driver

ADA, GRACE = "ada@acme.test", "grace@acme.test"
WEEK = ("2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z")
DAILY = {"start": "2026-01-05T09:00:00Z", "recurrence": ["RRULE:FREQ=DAILY"]}
CLASS_ID = "040000008200E00074C5B7101A82E008"


@pytest.fixture
def token(sandbox: Driver) -> str:
    return str(sandbox.connect("microsoft", GRACE)["access_token"])


def _error(answer: httpx.Response) -> tuple[int, str]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "message", "innerError"}
    return answer.status_code, error["code"]


def test_no_unknown_or_expired_token_is_refused_as_graph_does(sandbox: Driver, token: str) -> None:
    bare = sandbox.http.get(f"{sandbox.base}/microsoft/v1.0/me/calendars")
    unknown = sandbox.graph("EwBunknown", "/me/calendars")
    sandbox.control("POST", f"/accounts/{GRACE}/expire-access-tokens")
    expired = sandbox.graph(token, "/me/calendars")
    assert {_error(answer) for answer in (bare, unknown, expired)} == {(401, "InvalidAuthenticationToken")}


def test_calendars_need_a_calendar_scope_and_the_profile_its_own(sandbox: Driver, token: str) -> None:
    narrow = sandbox.connect("microsoft", GRACE, ["openid", "User.Read"])["access_token"]
    assert _error(sandbox.graph(narrow, "/me/calendars")) == (403, "ErrorAccessDenied")
    assert _error(sandbox.graph(token, "/me")) == (403, "Authorization_RequestDenied")
    assert sandbox.graph(narrow, "/me").json()["userPrincipalName"] == GRACE


def test_basic_reading_has_no_body(sandbox: Driver) -> None:
    basic = sandbox.connect("microsoft", GRACE, ["openid", "Calendars.ReadBasic"])["access_token"]
    sandbox.event(GRACE, description="secret")
    (event,) = sandbox.graph_view(basic, *WEEK)
    assert "body" not in event
    assert "bodyPreview" not in event


def test_a_view_needs_its_window(sandbox: Driver, token: str) -> None:
    answer = sandbox.graph(token, "/me/calendarView", startDateTime=WEEK[0])
    assert _error(answer) == (400, "ErrorInvalidParameter")


def test_pages_are_followed_by_next_link(sandbox: Driver, token: str) -> None:
    for number in range(5):
        sandbox.event(GRACE, title=str(number), starts_in_minutes=60 + number)
    query = {"startDateTime": WEEK[0], "endDateTime": WEEK[1], "$top": 2, "$select": "subject"}
    page = sandbox.graph(token, "/me/calendarView", **query).json()
    seen = [event["subject"] for event in page["value"]]
    while link := page.get("@odata.nextLink"):
        assert link.startswith(sandbox.base)
        page = sandbox.http.get(link, headers={"Authorization": f"Bearer {token}"}).json()
        seen += [event["subject"] for event in page["value"]]
    assert seen == ["0", "1", "2", "3", "4"]
    assert set(page["value"][0]) == {"@odata.etag", "id", "subject"}


def test_ten_are_on_a_page_unless_asked(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=12"])
    query = {"startDateTime": WEEK[0], "endDateTime": "2026-02-01T00:00:00Z"}
    assert len(sandbox.graph(token, "/me/calendarView", **query).json()["value"]) == 10


def test_occurrences_name_their_master(sandbox: Driver, token: str) -> None:
    created = sandbox.event(GRACE, **DAILY)
    key = created["key"]
    sandbox.control("PATCH", f"/events/{key}", {"shift_minutes": 30}, original_start="2026-01-06T09:00:00Z")
    first, moved, *rest = sandbox.graph_view(token, *WEEK)
    assert (first["type"], moved["type"], len(rest)) == ("occurrence", "exception", 5)
    assert first["seriesMasterId"] == moved["seriesMasterId"] == created["copies"][0]["event_id"]
    assert moved["originalStart"] == "2026-01-06T09:00:00Z"
    assert moved["start"] == {"dateTime": "2026-01-06T09:30:00.0000000", "timeZone": "UTC"}
    master = sandbox.graph(token, f"/me/events/{first['seriesMasterId']}").json()
    assert (master["type"], master["recurrence"]["pattern"]["type"]) == ("seriesMaster", "daily")
    assert sandbox.graph(token, f"/me/events/{moved['id']}").json()["start"] == moved["start"]


def test_a_single_event_has_no_original_start(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE)
    (event,) = sandbox.graph_view(token, *WEEK)
    assert event["type"] == "singleInstance"
    assert "originalStart" not in event


def test_times_come_in_the_zone_preferred(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE, start="2026-01-05T17:00:00Z")
    headers = {"Prefer": 'outlook.timezone="Pacific Standard Time"'}
    answer = sandbox.graph(token, "/me/calendarView", headers, startDateTime=WEEK[0], endDateTime=WEEK[1])
    (event,) = answer.json()["value"]
    assert event["start"] == {"dateTime": "2026-01-05T09:00:00.0000000", "timeZone": "Pacific Standard Time"}
    assert 'outlook.timezone="Pacific Standard Time"' in answer.headers["preference-applied"]


def test_an_unknown_zone_is_refused(sandbox: Driver, token: str) -> None:
    headers = {"Prefer": 'outlook.timezone="Mars"'}
    answer = sandbox.graph(token, "/me/calendarView", headers, startDateTime=WEEK[0], endDateTime=WEEK[1])
    assert _error(answer) == (400, "TimeZoneNotSupportedException")


def test_immutable_ids_survive_a_move_and_others_do_not(sandbox: Driver, token: str) -> None:
    calendar = sandbox.control("POST", f"/accounts/{GRACE}/calendars", {"name": "Team"})
    created = sandbox.event(GRACE)
    copy = created["copies"][0]
    sandbox.control("POST", f"/events/{created['key']}/move", {"email": GRACE, "calendar_id": calendar["id"]})
    assert _error(sandbox.graph(token, f"/me/events/{copy['event_id']}")) == (404, "ErrorItemNotFound")
    assert sandbox.graph(token, f"/me/events/{copy['immutable_id']}").status_code == 200
    view = f"/me/calendars/{calendar['graph_id']}/calendarView"
    listed = sandbox.graph(token, view, startDateTime=WEEK[0], endDateTime=WEEK[1]).json()["value"]
    assert len(listed) == 1


def test_ids_are_case_sensitive_and_checked(sandbox: Driver, token: str) -> None:
    event_id = sandbox.event(GRACE)["copies"][0]["event_id"]
    swapped = event_id[:8] + event_id[8:].swapcase()
    assert sandbox.graph(token, f"/me/events/{swapped}").status_code in (400, 404)
    assert _error(sandbox.graph(token, "/me/events/nonsense")) == (400, "ErrorInvalidIdMalformed")


def test_a_cancelled_meeting_stays_marked_for_guests_and_goes_for_the_organiser(sandbox: Driver, token: str) -> None:
    sandbox.account("heidi@acme.test", "microsoft")
    heidis = sandbox.connect("microsoft", "heidi@acme.test")["access_token"]
    created = sandbox.event(GRACE, title="Review", attendees=["heidi@acme.test"])
    sandbox.control("DELETE", f"/events/{created['key']}")
    (marked,) = sandbox.graph_view(heidis, *WEEK)
    assert (marked["isCancelled"], marked["subject"]) == (True, "Canceled: Review")
    assert sandbox.graph_view(token, *WEEK) == []
    assert _error(sandbox.graph(token, f"/me/events/{created['copies'][0]['event_id']}")) == (
        404,
        "ErrorItemNotFound",
    )


def test_an_organiser_no_longer_sees_a_cancelled_occurrence(sandbox: Driver, token: str) -> None:
    key = sandbox.event(GRACE, **DAILY)["key"]
    sandbox.control("DELETE", f"/events/{key}", original_start="2026-01-06T09:00:00Z")
    assert len(sandbox.graph_view(token, *WEEK)) == 6


def test_answers_come_in_graphs_words(sandbox: Driver, token: str) -> None:
    sandbox.account("heidi@acme.test", "microsoft")
    heidis = sandbox.connect("microsoft", "heidi@acme.test")["access_token"]
    key = sandbox.event(GRACE, attendees=["heidi@acme.test"])["key"]
    (before,) = sandbox.graph_view(heidis, *WEEK)
    sandbox.control("POST", f"/events/{key}/respond", {"email": "heidi@acme.test", "answer": "tentative"})
    (after,) = sandbox.graph_view(heidis, *WEEK)
    (own,) = sandbox.graph_view(token, *WEEK)
    assert [event["responseStatus"]["response"] for event in (before, after, own)] == [
        "notResponded",
        "tentativelyAccepted",
        "organizer",
    ]


def test_a_teams_link_is_an_online_meeting_and_a_zoom_link_a_location(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE, title="teams", platform="microsoft_teams")
    sandbox.event(GRACE, title="zoom", meeting_url="https://zoom.us/j/1?a=1&b=2", link_place="description")
    teams, zoom = sandbox.graph_view(token, *WEEK)
    assert teams["onlineMeeting"]["joinUrl"].startswith("https://teams.microsoft.com/l/meetup-join/")
    assert teams["onlineMeetingProvider"] == "teamsForBusiness"
    assert zoom["onlineMeeting"] is None
    assert "https://zoom.us/j/1?a=1&amp;b=2" in zoom["body"]["content"]


def test_a_pending_online_meeting_is_null_at_first(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE, platform="microsoft_teams", link_pending=True)
    (event,) = sandbox.graph_view(token, *WEEK)
    assert (event["isOnlineMeeting"], event["onlineMeeting"]) == (True, None)


def test_an_all_day_event_runs_from_midnight_to_midnight(sandbox: Driver, token: str) -> None:
    sandbox.event(GRACE, start="2026-01-07T10:00:00+01:00", all_day=True, time_zone="Europe/Berlin")
    (event,) = sandbox.graph_view(token, *WEEK)
    assert event["isAllDay"] is True
    assert (event["start"]["dateTime"], event["end"]["dateTime"]) == (
        "2026-01-07T00:00:00.0000000",
        "2026-01-08T00:00:00.0000000",
    )


@pytest.mark.parametrize(("mode", "distinct"), [("per_occurrence", 7), ("per_series", 1), ("null", 1)])
def test_ical_uids_of_occurrences_follow_the_chosen_behaviour(
    sandbox: Driver, token: str, mode: str, distinct: int
) -> None:
    sandbox.control("POST", "/behaviour", {"graph_ical_uid": mode})
    sandbox.event(GRACE, **DAILY)
    uids = {event["iCalUId"] for event in sandbox.graph_view(token, *WEEK)}
    assert len(uids) == distinct
    if mode == "per_occurrence":
        assert f"{CLASS_ID}07EA0106" in {uid[:40] for uid in uids}, "2026-01-06 stands in bytes 16 to 19"


def test_unsupported_query_options_are_refused(sandbox: Driver, token: str) -> None:
    query = {"startDateTime": WEEK[0], "endDateTime": WEEK[1], "$filter": "isAllDay eq true"}
    assert _error(sandbox.graph(token, "/me/calendarView", **query)) == (501, "NotImplemented")
