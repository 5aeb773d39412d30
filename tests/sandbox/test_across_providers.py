"""One meeting at two providers: both must show the same occurrence."""

from __future__ import annotations

import pytest

from tests.sandbox.driver import Driver

ADA, GRACE = "ada@acme.test", "grace@acme.test"
WEEK = ("2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z")
FOREIGN = b"vCal-Uid\x01\x00\x00\x00"


@pytest.fixture
def tokens(sandbox: Driver) -> tuple[str, str]:
    google = sandbox.connect("google", ADA)["access_token"]
    return str(google), str(sandbox.connect("microsoft", GRACE)["access_token"])


def test_a_google_meeting_reaches_outlook_under_a_wrapped_uid(sandbox: Driver, tokens: tuple[str, str]) -> None:
    sandbox.event(ADA, attendees=[GRACE], platform="google_meet")
    (here,) = sandbox.google_events(tokens[0])["items"]
    (there,) = sandbox.graph_view(tokens[1], *WEEK)
    goid = bytes.fromhex(there["iCalUId"])
    length = int.from_bytes(goid[36:40], "little")
    assert goid[16:20] == bytes(4)
    assert goid[40:] == FOREIGN + here["iCalUID"].encode() + b"\x00"
    assert length == len(goid[40:])
    assert here["hangoutLink"] in there["body"]["content"]
    assert (there["isOrganizer"], there["organizer"]["emailAddress"]["address"]) == (False, ADA)


def test_an_outlook_meeting_reaches_google_under_its_goid(sandbox: Driver, tokens: tuple[str, str]) -> None:
    sandbox.event(GRACE, attendees=[ADA], platform="microsoft_teams")
    (here,) = sandbox.graph_view(tokens[1], *WEEK)
    (there,) = sandbox.google_events(tokens[0])["items"]
    assert there["iCalUID"] == here["iCalUId"]
    assert there["id"].startswith("_")
    assert here["onlineMeeting"]["joinUrl"] in there["description"]
    assert "conferenceData" not in there


def test_an_edit_is_seen_on_both_sides(sandbox: Driver, tokens: tuple[str, str]) -> None:
    key = sandbox.event(ADA, attendees=[GRACE])["key"]
    sandbox.control("PATCH", f"/events/{key}", {"start": "2026-01-06T15:00:00Z", "title": "Moved"})
    (here,) = sandbox.google_events(tokens[0])["items"]
    (there,) = sandbox.graph_view(tokens[1], *WEEK)
    assert (here["summary"], there["subject"]) == ("Moved", "Moved")
    assert (here["start"]["dateTime"], there["start"]["dateTime"]) == (
        "2026-01-06T15:00:00Z",
        "2026-01-06T15:00:00.0000000",
    )


def test_an_answer_from_outlook_is_seen_at_google(sandbox: Driver, tokens: tuple[str, str]) -> None:
    key = sandbox.event(ADA, attendees=[GRACE])["key"]
    sandbox.control("POST", f"/events/{key}/respond", {"email": GRACE, "answer": "accepted"})
    (here,) = sandbox.google_events(tokens[0])["items"]
    assert {a["email"]: a["responseStatus"] for a in here["attendees"]}[GRACE] == "accepted"


def test_a_guest_of_one_occurrence_has_a_single_meeting_with_the_date_in_its_uid(
    sandbox: Driver, tokens: tuple[str, str]
) -> None:
    series = {"start": "2026-01-05T09:00:00Z", "recurrence": ["RRULE:FREQ=DAILY"]}
    key = sandbox.event(ADA, **series)["key"]
    at = "2026-01-06T09:00:00Z"
    sandbox.control("PATCH", f"/events/{key}", {"attendees": [GRACE]}, original_start=at)
    (only,) = sandbox.graph_view(tokens[1], *WEEK)
    assert (only["type"], only["seriesMasterId"]) == ("singleInstance", None)
    assert bytes.fromhex(only["iCalUId"])[16:20] == bytes.fromhex("07EA0106")


def test_a_new_account_receives_its_earlier_invitations(sandbox: Driver) -> None:
    sandbox.event(ADA, attendees=["late@acme.test"])
    sandbox.account("late@acme.test", "microsoft")
    token = sandbox.connect("microsoft", "late@acme.test")["access_token"]
    assert len(sandbox.graph_view(token, *WEEK)) == 1


def test_a_meeting_can_be_organised_by_a_person_without_an_account(sandbox: Driver, tokens: tuple[str, str]) -> None:
    dana = {"email": "dana@elsewhere.test", "name": "Dana", "provider": "microsoft"}
    sandbox.event(ADA, organizer=dana, answer="tentative")
    (item,) = sandbox.google_events(tokens[0])["items"]
    assert item["organizer"] == {"email": "dana@elsewhere.test", "displayName": "Dana"}
    assert {a["email"]: a["responseStatus"] for a in item["attendees"]} == {
        "dana@elsewhere.test": "accepted",
        ADA: "tentative",
    }


def test_an_invitation_through_a_group_lists_no_self(sandbox: Driver, tokens: tuple[str, str]) -> None:
    dana = {"email": "dana@elsewhere.test"}
    sandbox.event(ADA, organizer=dana, listed=False, attendees=["team@acme.test"])
    (item,) = sandbox.google_events(tokens[0])["items"]
    assert not any(attendee.get("self") for attendee in item["attendees"])


ALL_DAY = {"all_day": True, "time_zone": "Europe/Berlin", "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}


def test_the_original_start_of_an_all_day_occurrence_is_local_midnight_in_utc(
    sandbox: Driver, tokens: tuple[str, str]
) -> None:
    sandbox.event(ADA, start="2026-01-06T10:00:00Z", attendees=[GRACE], **ALL_DAY)
    here = sandbox.google_events(tokens[0], singleEvents="true")["items"]
    there = sandbox.graph_view(tokens[1], *WEEK)
    assert [each["originalStartTime"] for each in here] == [{"date": f"2026-01-0{day}"} for day in (6, 7, 8)]
    assert [each["originalStart"] for each in there] == [f"2026-01-0{day}T23:00:00Z" for day in (5, 6, 7)]
    assert {each["originalStartTimeZone"] for each in there} == {"UTC"}
    assert [each["start"]["dateTime"][:10] for each in there] == [f"2026-01-0{day}" for day in (6, 7, 8)]


def test_a_day_of_an_all_day_series_can_be_given_a_time(sandbox: Driver, tokens: tuple[str, str]) -> None:
    key = sandbox.event(ADA, start="2026-01-06T10:00:00Z", attendees=[GRACE], **ALL_DAY)["key"]
    change = {"all_day": False, "start": "2026-01-07T09:00:00Z", "duration_minutes": 30}
    sandbox.control("PATCH", f"/events/{key}", change, original_start="2026-01-06T23:00:00Z")
    here = sandbox.google_events(tokens[0], singleEvents="true")["items"][1]
    there = sandbox.graph_view(tokens[1], *WEEK)[1]
    assert (here["originalStartTime"], here["start"]["dateTime"]) == ({"date": "2026-01-07"}, "2026-01-07T09:00:00Z")
    assert (there["type"], there["isAllDay"], there["originalStart"]) == ("exception", False, "2026-01-06T23:00:00Z")


def test_an_occurrence_of_a_timed_series_can_be_made_all_day(sandbox: Driver, tokens: tuple[str, str]) -> None:
    daily = {"start": "2026-01-06T14:00:00Z", "time_zone": "Europe/Berlin", "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}
    key = sandbox.event(ADA, attendees=[GRACE], **daily)["key"]
    sandbox.control("PATCH", f"/events/{key}", {"all_day": True}, original_start="2026-01-07T14:00:00Z")
    here = next(
        each for each in sandbox.google_events(tokens[0], singleEvents="true")["items"] if "date" in each["start"]
    )
    there = next(each for each in sandbox.graph_view(tokens[1], *WEEK) if each["isAllDay"])
    assert (here["start"], here["originalStartTime"]["dateTime"]) == ({"date": "2026-01-07"}, "2026-01-07T14:00:00Z")
    assert (there["type"], there["originalStart"]) == ("exception", "2026-01-07T14:00:00Z")
