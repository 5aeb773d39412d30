from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.sandbox import discovery
from tests.sandbox.driver import EVENTS_SCOPE, Driver

ADA = "ada@acme.test"
CARL = "carl@customer.test"
WEEK = {"timeMin": "2026-01-05T00:00:00Z", "timeMax": "2026-01-12T00:00:00Z"}
DAILY = {"start": "2026-01-05T09:00:00Z", "recurrence": ["RRULE:FREQ=DAILY"]}


@pytest.fixture
def token(sandbox: Driver) -> str:
    return str(sandbox.connect("google", ADA)["access_token"])


def _ids(listing: dict[str, Any]) -> list[str]:
    return [item["id"] for item in listing["items"]]


def _reason(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_no_token_or_an_unknown_one_is_refused_as_google_does(sandbox: Driver) -> None:
    answer = sandbox.google("ya29.unknown", "/calendars/primary/events")
    bare = sandbox.http.get(f"{sandbox.base}/google/calendar/v3/calendars/primary/events")
    assert _reason(answer) == _reason(bare) == (401, "authError")
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_the_calendar_list_needs_its_own_scope(sandbox: Driver) -> None:
    narrow = sandbox.connect("google", ADA, ["openid", EVENTS_SCOPE])["access_token"]
    refused = sandbox.google(narrow, "/users/me/calendarList")
    assert _reason(refused) == (403, "insufficientPermissions")
    assert refused.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert sandbox.google(narrow, "/calendars/primary/events").status_code == 200


def test_events_need_a_calendar_scope(sandbox: Driver) -> None:
    narrow = sandbox.connect("google", ADA, ["openid", "email"])["access_token"]
    assert _reason(sandbox.google(narrow, "/calendars/primary/events")) == (403, "insufficientPermissions")


def test_a_window_holds_events_that_end_after_its_start_and_start_before_its_end(sandbox: Driver, token: str) -> None:
    for title, start in [("ended", "07:00"), ("running", "07:45"), ("inside", "09:00"), ("at the end", "10:00")]:
        sandbox.event(ADA, title=title, start=f"2026-01-05T{start}:00Z", duration_minutes=30)
    sandbox.event(ADA, title="ends at the start", start="2026-01-05T07:30:00Z", duration_minutes=30)
    window = {"timeMin": "2026-01-05T08:00:00Z", "timeMax": "2026-01-05T10:00:00Z"}
    listing = sandbox.google_events(token, singleEvents="true", orderBy="startTime", **window)
    assert [item["summary"] for item in listing["items"]] == ["running", "inside"]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"timeMin": "2026-01-05T00:00:00"}, "badRequest"),
        ({"timeMin": "tomorrow"}, "badRequest"),
        ({"orderBy": "startTime"}, "badRequest"),
        ({"timeMin": "2026-01-06T00:00:00Z", "timeMax": "2026-01-05T00:00:00Z"}, "timeRangeEmpty"),
        ({"maxResults": "0"}, "invalidParameter"),
        ({"pageToken": "nonsense"}, "invalid"),
        ({"fields": "items(id"}, "invalidParameter"),
        ({"timeZone": "Mars/Olympus"}, "invalid"),
    ],
)
def test_wrong_parameters_are_refused(sandbox: Driver, token: str, params: dict[str, str], reason: str) -> None:
    assert _reason(sandbox.google(token, "/calendars/primary/events", **params)) == (400, reason)


def test_unknown_calendars_and_events_are_not_found(sandbox: Driver, token: str) -> None:
    assert _reason(sandbox.google(token, "/calendars/grace@acme.test/events")) == (404, "notFound")
    assert _reason(sandbox.google(token, "/calendars/primary/events/nothere")) == (404, "notFound")


def test_a_series_is_expanded_or_given_as_a_rule(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, **DAILY)
    expanded = sandbox.google_events(token, singleEvents="true", **WEEK)
    folded = sandbox.google_events(token, **WEEK)
    assert len(expanded["items"]) == 7
    assert expanded["items"][2]["id"] == f"{folded['items'][0]['id']}_20260107T090000Z"
    assert expanded["items"][2]["recurringEventId"] == folded["items"][0]["id"]
    assert folded["items"][0]["recurrence"] == ["RRULE:FREQ=DAILY"]
    assert {item["iCalUID"] for item in expanded["items"]} == {folded["items"][0]["iCalUID"]}


def test_a_series_keeps_its_local_time_over_daylight_saving(sandbox: Driver, token: str) -> None:
    sandbox.event(
        ADA, start="2026-03-27T09:00:00+01:00", time_zone="Europe/Berlin", recurrence=["RRULE:FREQ=DAILY;COUNT=4"]
    )
    listing = sandbox.google_events(token, singleEvents="true", orderBy="startTime")
    assert [item["start"]["dateTime"] for item in listing["items"]] == [
        "2026-03-27T08:00:00Z",
        "2026-03-28T08:00:00Z",
        "2026-03-29T07:00:00Z",
        "2026-03-30T07:00:00Z",
    ]


def test_a_moved_instance_keeps_its_original_start(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, **DAILY)["key"]
    at = "2026-01-06T09:00:00Z"
    sandbox.control("PATCH", f"/events/{key}", {"shift_minutes": 120}, original_start=at)
    moved = sandbox.google_events(token, singleEvents="true", **WEEK)["items"][1]
    assert moved["start"]["dateTime"] == "2026-01-06T11:00:00Z"
    assert moved["originalStartTime"]["dateTime"] == at
    assert moved["id"].endswith("_20260106T090000Z")
    assert sandbox.google(token, f"/calendars/primary/events/{moved['id']}").json()["start"] == moved["start"]


def test_a_cancelled_instance_has_only_its_ids_and_original_start(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, **DAILY)["key"]
    sandbox.control("DELETE", f"/events/{key}", original_start="2026-01-06T09:00:00Z")
    shown = sandbox.google_events(token, singleEvents="true", **WEEK)
    listing = sandbox.google_events(token, singleEvents="true", showDeleted="true", **WEEK)
    folded = sandbox.google_events(token, **WEEK)
    assert (len(shown["items"]), len(listing["items"])) == (6, 7)
    skeleton = listing["items"][1]
    assert set(skeleton) == {"kind", "etag", "id", "status", "recurringEventId", "originalStartTime"}
    assert folded["items"][1] == skeleton, "cancelled instances of a series are listed even without showDeleted"


def test_a_deleted_series_shows_its_instances_but_not_itself(sandbox: Driver, token: str) -> None:
    created = sandbox.event(ADA, **DAILY)
    sandbox.control("DELETE", f"/events/{created['key']}")
    listing = sandbox.google_events(token, singleEvents="true", showDeleted="true", **WEEK)
    assert {item["status"] for item in listing["items"]} == {"cancelled"}
    assert created["copies"][0]["event_id"] not in _ids(listing)
    assert sandbox.google_events(token, singleEvents="true", **WEEK)["items"] == []


def test_a_cancelled_meeting_keeps_details_for_the_organiser_only(sandbox: Driver, token: str) -> None:
    sandbox.account(CARL)
    carls = sandbox.connect("google", CARL)["access_token"]
    created = sandbox.event(ADA, title="Secret", attendees=[CARL])
    sandbox.control("DELETE", f"/events/{created['key']}")
    path = f"/calendars/primary/events/{created['copies'][0]['event_id']}"
    own, guests = sandbox.google(token, path).json(), sandbox.google(carls, path).json()
    assert (own["status"], own["summary"]) == ("cancelled", "Secret")
    assert set(guests) == {"kind", "etag", "id", "status"}


def test_a_restored_meeting_is_confirmed_again(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA)["key"]
    sandbox.control("DELETE", f"/events/{key}")
    sandbox.control("POST", f"/events/{key}/restore")
    (item,) = sandbox.google_events(token)["items"]
    assert (item["status"], item["sequence"]) == ("confirmed", 2)


def test_self_refers_to_the_calendar(sandbox: Driver, token: str) -> None:
    sandbox.account(CARL)
    sandbox.event(ADA, attendees=[CARL, {"email": "room@acme.test", "resource": True}])
    carls = sandbox.connect("google", CARL)["access_token"]
    (mine,) = sandbox.google_events(token)["items"]
    (theirs,) = sandbox.google_events(carls)["items"]
    assert mine["id"] == theirs["id"]
    assert mine["organizer"]["self"] is True
    assert [a["email"] for a in mine["attendees"] if a.get("self")] == [ADA]
    assert [a["email"] for a in theirs["attendees"] if a.get("self")] == [CARL]
    assert [a["email"] for a in theirs["attendees"] if a.get("resource")] == ["room@acme.test"]


def test_an_answer_is_seen_on_every_copy(sandbox: Driver, token: str) -> None:
    sandbox.account(CARL)
    key = sandbox.event(ADA, attendees=[CARL])["key"]
    sandbox.control("POST", f"/events/{key}/respond", {"email": CARL, "answer": "declined"})
    (item,) = sandbox.google_events(token)["items"]
    assert {a["email"]: a["responseStatus"] for a in item["attendees"]} == {ADA: "accepted", CARL: "declined"}


def test_too_many_attendees_are_left_out(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, attendees=[f"p{n}@acme.test" for n in range(5)])
    (item,) = sandbox.google_events(token, maxAttendees=3)["items"]
    assert item["attendeesOmitted"] is True
    assert [attendee["email"] for attendee in item["attendees"]] == [ADA]


def test_a_meet_link_comes_structured_and_a_zoom_link_as_location(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, title="meet", meeting_url="https://meet.google.com/abc-defg-hij")
    sandbox.event(ADA, title="zoom", meeting_url="https://zoom.us/j/123456789")
    sandbox.event(ADA, title="addon", meeting_url="https://zoom.us/j/1", link_place="conference")
    meet, zoom, addon = sandbox.google_events(token)["items"]
    assert meet["hangoutLink"] == meet["conferenceData"]["entryPoints"][0]["uri"]
    assert zoom["location"] == "https://zoom.us/j/123456789"
    assert "hangoutLink" not in addon
    assert addon["conferenceData"]["conferenceSolution"]["key"]["type"] == "addOn"


def test_a_pending_conference_has_no_link_yet(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, platform="google_meet", link_pending=True)["key"]
    (pending,) = sandbox.google_events(token)["items"]
    sandbox.control("PATCH", f"/events/{key}", {"link_pending": False})
    (ready,) = sandbox.google_events(token)["items"]
    assert pending["conferenceData"]["createRequest"]["status"]["statusCode"] == "pending"
    assert ("hangoutLink" in pending, "hangoutLink" in ready) == (False, True)


def test_an_all_day_event_has_dates(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, start="2026-01-07T10:00:00Z", all_day=True)
    (item,) = sandbox.google_events(token)["items"]
    assert (item["start"], item["end"]) == ({"date": "2026-01-07"}, {"date": "2026-01-08"})


def test_times_are_shown_in_the_zone_asked_for(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, start="2026-01-07T10:00:00Z", time_zone="America/New_York")
    (item,) = sandbox.google_events(token, timeZone="Asia/Kathmandu")["items"]
    assert item["start"] == {"dateTime": "2026-01-07T15:45:00+05:45", "timeZone": "America/New_York"}


def test_secondary_calendars_are_their_events_organiser(sandbox: Driver, token: str) -> None:
    calendar = sandbox.control("POST", f"/accounts/{ADA}/calendars", {"name": "Team"})
    sandbox.event(ADA, calendar_id=calendar["id"])
    entries = sandbox.google(token, "/users/me/calendarList").json()["items"]
    (item,) = sandbox.google_events(token, calendar["id"])["items"]
    assert [entry["id"] for entry in entries] == [ADA, calendar["id"]]
    assert item["organizer"] == {"email": calendar["id"], "displayName": "Team", "self": True}
    assert sandbox.google_events(token)["items"] == []


def test_a_free_busy_calendar_shows_no_details(sandbox: Driver, token: str) -> None:
    body = {"name": "Boss", "access_role": "freeBusyReader"}
    calendar = sandbox.control("POST", f"/accounts/{ADA}/calendars", body)
    sandbox.event(ADA, title="Merger", calendar_id=calendar["id"])
    listing = sandbox.google_events(token, calendar["id"])
    assert listing["accessRole"] == "freeBusyReader"
    assert "summary" not in listing["items"][0]


def test_an_event_moved_to_another_calendar_stays_as_cancelled_on_the_old_one(sandbox: Driver, token: str) -> None:
    calendar = sandbox.control("POST", f"/accounts/{ADA}/calendars", {"name": "Team"})
    key = sandbox.event(ADA)["key"]
    sandbox.control("POST", f"/events/{key}/move", {"email": ADA, "calendar_id": calendar["id"]})
    (stub,) = sandbox.google_events(token, showDeleted="true")["items"]
    (moved,) = sandbox.google_events(token, calendar["id"])["items"]
    assert set(stub) == {"kind", "etag", "id", "status"}
    assert moved["status"] == "confirmed"


def test_an_unchanged_event_answers_304_to_its_etag(sandbox: Driver, token: str) -> None:
    created = sandbox.event(ADA)
    url = f"{sandbox.base}/google/calendar/v3/calendars/primary/events/{created['copies'][0]['event_id']}"
    headers = {"Authorization": f"Bearer {token}"}
    etag = sandbox.http.get(url, headers=headers).headers["etag"]
    unchanged = sandbox.http.get(url, headers={**headers, "If-None-Match": etag})
    sandbox.control("PATCH", f"/events/{created['key']}", {"title": "Other"})
    changed = sandbox.http.get(url, headers={**headers, "If-None-Match": etag})
    assert (unchanged.status_code, changed.status_code) == (304, 200)


def test_fields_cut_the_answer_and_the_page_token_too(sandbox: Driver, token: str) -> None:
    for _ in range(2):
        sandbox.event(ADA)
    cut = sandbox.google_events(token, maxResults=1, fields="items(id,start/dateTime)")
    kept = sandbox.google_events(token, maxResults=1, fields="items/id,nextPageToken")
    assert set(cut) == {"items"}
    assert set(cut["items"][0]) == {"id", "start"}
    assert set(cut["items"][0]["start"]) == {"dateTime"}
    assert set(kept) == {"items", "nextPageToken"}


def test_listings_can_be_filtered_by_event_type(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA, title="focus", event_type="focusTime")
    sandbox.event(ADA, title="meeting")
    listing = sandbox.google_events(token, eventTypes="default")
    assert [item["summary"] for item in listing["items"]] == ["meeting"]


def test_instances_lists_one_series(sandbox: Driver, token: str) -> None:
    created = sandbox.event(ADA, **DAILY)
    sandbox.event(ADA)
    path = f"/calendars/primary/events/{created['copies'][0]['event_id']}/instances"
    listing = sandbox.google(token, path, **WEEK).json()
    assert len(listing["items"]) == 7
    assert {item["recurringEventId"] for item in listing["items"]} == {created["copies"][0]["event_id"]}


def test_a_guest_of_one_occurrence_sees_only_that_one(sandbox: Driver, token: str) -> None:
    sandbox.account(CARL)
    carls = sandbox.connect("google", CARL)["access_token"]
    key = sandbox.event(ADA, **DAILY)["key"]
    at = "2026-01-06T09:00:00Z"
    sandbox.control("PATCH", f"/events/{key}", {"attendees": [CARL]}, original_start=at)
    (only,) = sandbox.google_events(carls, singleEvents="true", **WEEK)["items"]
    full = sandbox.google_events(token, singleEvents="true", **WEEK)["items"]
    assert (only["iCalUID"], only["originalStartTime"]["dateTime"]) == (full[1]["iCalUID"], at)


def test_every_answer_fits_googles_own_schema(sandbox: Driver, token: str) -> None:
    sandbox.account(CARL)
    sandbox.event(ADA, **DAILY, attendees=[CARL], platform="google_meet", description="d", visibility="private")
    sandbox.event(ADA, start="2026-01-07T10:00:00Z", all_day=True, free=True)
    sandbox.event(ADA, meeting_url="https://zoom.us/j/1", link_place="conference", guests_hidden=True)
    gone = sandbox.event(ADA)["key"]
    sandbox.control("DELETE", f"/events/{gone}")
    for expand in ("true", "false"):
        listing = sandbox.google_events(token, singleEvents=expand, showDeleted="true", **WEEK)
        discovery.check("Events", listing)
        for item in listing["items"]:
            discovery.check("Event", sandbox.google(token, f"/calendars/primary/events/{item['id']}").json())
    discovery.check("CalendarList", sandbox.google(token, "/users/me/calendarList").json())


def test_the_schema_check_refuses_wrong_documents() -> None:
    with pytest.raises(jsonschema.ValidationError):
        discovery.check("Event", {"attendees": [{"self": "yes"}]})
    with pytest.raises(jsonschema.ValidationError):
        discovery.check("Event", {"title": "Google calls it summary"})
