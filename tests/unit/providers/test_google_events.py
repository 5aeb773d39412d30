"""A Google event becomes an `Event`, with any part of it missing, odd or hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import LONGEST_TITLE, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.providers import event_fields
from meetbot.providers.google.events import normalise_google
from tests.unit.providers.google_reading import OWNER, attendee, normalised
from tests.unit.providers.odd_json import JSON, strings_of
from tests.unit.providers.scripted import google_event


def test_a_plain_meeting_is_read_whole() -> None:
    event = normalised(
        google_event(
            "e1",
            visibility="private",
            attendees=[
                attendee("ann@acme.example", self=True, organizer=True),
                attendee("joe@customer.com", "tentative", displayName="Joe"),
            ],
        )
    )
    assert event.provider is Provider.GOOGLE
    assert event.calendar_id == "primary"
    assert event.provider_event_id == "e1"
    assert event.ical_uid == "e1@google.com"
    assert event.title == "Weekly"
    assert event.start == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    assert event.end == datetime(2026, 3, 12, 9, 30, tzinfo=UTC)
    assert event.start is not None
    assert event.start.tzinfo is UTC
    assert not event.all_day
    assert event.status is EventStatus.CONFIRMED
    assert event.visibility is Visibility.PRIVATE
    assert event.is_organizer
    assert event.owner_response is Response.ACCEPTED
    assert event.updated == datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    joe = event.attendees[1]
    assert (joe.email, joe.name, joe.response, joe.is_self) == ("joe@customer.com", "Joe", Response.TENTATIVE, False)
    assert event.attendees[0].organizer
    assert event.attendees[0].is_self


# Recurrence and cancellation


def test_a_skeleton_of_a_deleted_event_is_a_cancelled_event_without_a_start() -> None:
    event = normalised({"id": "e1", "status": "cancelled"})
    assert event.status is EventStatus.CANCELLED
    assert event.start is None
    assert event.ical_uid is None
    assert event.title == ""
    assert event.owner_response is None


def test_a_skeleton_of_one_deleted_occurrence_still_says_which_one() -> None:
    event = normalised(
        {
            "id": "series_20260325T130000Z",
            "status": "cancelled",
            "recurringEventId": "series",
            "originalStartTime": {"dateTime": "2026-03-25T13:00:00Z", "timeZone": "Europe/Berlin"},
        }
    )
    assert event.status is EventStatus.CANCELLED
    assert event.original_start == datetime(2026, 3, 25, 13, 0, tzinfo=UTC)
    assert event.recurring
    assert event.start is None


def test_a_moved_occurrence_keeps_its_original_start() -> None:
    event = normalised(
        google_event(
            recurringEventId="series", originalStartTime={"dateTime": "2026-03-11T09:00:00Z", "timeZone": "UTC"}
        )
    )
    assert event.original_start == datetime(2026, 3, 11, 9, 0, tzinfo=UTC)
    assert event.start == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)


def test_occurrences_of_a_series_share_the_uid_and_differ_in_original_start() -> None:
    days = [
        normalised(
            google_event(
                f"series_{day}",
                iCalUID="series@google.com",
                recurringEventId="series",
                originalStartTime={"dateTime": f"2026-03-{day}T09:00:00Z"},
            )
        )
        for day in (11, 12)
    ]
    assert days[0].ical_uid == days[1].ical_uid
    assert days[0].original_start != days[1].original_start


def test_two_occurrences_with_one_start_stay_two() -> None:
    stays = normalised(
        google_event("a", recurringEventId="s", originalStartTime={"dateTime": "2026-03-12T10:00:00+01:00"})
    )
    moved = normalised(
        google_event("b", recurringEventId="s", originalStartTime={"dateTime": "2026-03-11T10:00:00+01:00"})
    )
    assert stays.start == moved.start
    assert stays.original_start != moved.original_start


def test_the_rest_of_a_series_edited_as_this_and_following_has_another_uid() -> None:
    old = normalised(google_event("a", iCalUID="x@google.com"))
    new = normalised(google_event("b", iCalUID="x_R20260409T120000@google.com"))
    assert old.ical_uid != new.ical_uid


def test_original_starts_match_across_the_clock_change() -> None:
    winter = google_event(recurringEventId="s", originalStartTime={"dateTime": "2026-03-27T09:00:00+01:00"})
    summer = google_event(recurringEventId="s", originalStartTime={"dateTime": "2026-03-30T09:00:00+02:00"})
    assert normalised(winter).original_start == datetime(2026, 3, 27, 8, 0, tzinfo=UTC)
    assert normalised(summer).original_start == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)


def test_an_occurrence_without_original_start_uses_its_start() -> None:
    event = normalised(google_event(recurringEventId="s"))
    assert event.original_start == event.start


def test_a_single_event_has_no_original_start() -> None:
    event = normalised(google_event())
    assert event.original_start is None
    assert not event.recurring


def test_a_series_master_is_no_event() -> None:
    assert normalise_google("primary", google_event(recurrence=["RRULE:FREQ=DAILY"]), owner_email=OWNER) is None


def test_the_stub_that_an_organiser_change_leaves_is_a_cancelled_event() -> None:
    assert normalised({"id": "moved", "status": "cancelled"}).status is EventStatus.CANCELLED


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"id": ""}, {"id": 5}, {"id": "a\x00b"}, {"id": "x" * 3000}])
def test_without_a_usable_id_there_is_no_event(raw: dict[str, Any]) -> None:
    assert normalise_google("primary", raw, owner_email=OWNER) is None


# Time


def test_an_all_day_event_starts_at_midnight_utc_of_its_date() -> None:
    event = normalised(google_event(start={"date": "2026-03-12"}, end={"date": "2026-03-13"}))
    assert event.all_day
    assert event.start == datetime(2026, 3, 12, tzinfo=UTC)
    assert event.end == datetime(2026, 3, 13, tzinfo=UTC)


def test_a_null_date_beside_a_time_is_no_all_day_event() -> None:
    event = normalised(google_event(start={"date": None, "dateTime": "2026-03-12T09:00:00Z"}))
    assert not event.all_day
    assert event.start == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)


def test_a_time_without_offset_is_read_in_its_zone() -> None:
    event = normalised(google_event(start={"dateTime": "2026-03-12T10:00:00", "timeZone": "Asia/Kathmandu"}))
    assert event.start == datetime(2026, 3, 12, 4, 15, tzinfo=UTC)


@pytest.mark.parametrize("end", [None, {}, {"dateTime": "soon"}, {"dateTime": 5}, "tomorrow"])
def test_a_missing_or_broken_end_is_none(end: object) -> None:
    assert normalised(google_event(end=end)).end is None


def test_an_end_before_the_start_is_read_as_it_is() -> None:
    event = normalised(google_event(end={"dateTime": "2026-03-11T09:00:00Z"}))
    assert event.start is not None
    assert event.end is not None
    assert event.end < event.start


# What is no meeting, and what it may hold


@pytest.mark.parametrize("kind", ["focusTime", "outOfOffice", "workingLocation", "birthday"])
def test_blocked_time_is_never_a_meeting(kind: str) -> None:
    assert not normalised(google_event(eventType=kind, location="https://zoom.us/j/123456789")).is_meeting


@pytest.mark.parametrize("kind", ["default", "fromGmail", None, "somethingNew", ["list"]])
def test_every_other_type_may_be_a_meeting(kind: object) -> None:
    assert normalised(google_event(eventType=kind)).is_meeting


@pytest.mark.parametrize(
    ("word", "visibility"),
    [
        ("public", Visibility.PUBLIC),
        ("private", Visibility.PRIVATE),
        ("confidential", Visibility.CONFIDENTIAL),
        ("default", Visibility.DEFAULT),
        (None, Visibility.DEFAULT),
        ("new", Visibility.DEFAULT),
    ],
)
def test_visibility_is_read(word: str | None, visibility: Visibility) -> None:
    assert normalised(google_event(visibility=word)).visibility is visibility


def test_the_link_finder_is_asked_with_the_raw_event(monkeypatch: pytest.MonkeyPatch) -> None:
    link = MeetingLink(Platform.ZOOM, "https://zoom.us/j/123456789", "123456789", None, "location")
    asked: list[object] = []

    def find(provider: Provider, raw: object) -> MeetingLink:
        asked.append((provider, raw))
        return link

    monkeypatch.setattr(event_fields, "find_meeting_link", find)
    raw = google_event()
    assert normalised(raw).link == link
    assert asked == [(Provider.GOOGLE, raw)]


def test_a_link_that_cannot_be_stored_is_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    link = MeetingLink(Platform.ZOOM, "https://zoom.us/j/1\x002", None, None, "location")
    monkeypatch.setattr(event_fields, "find_meeting_link", lambda provider, raw: link)
    assert normalised(google_event()).link is None


def test_nul_and_lone_surrogates_are_taken_out_of_every_text() -> None:
    event = normalised(
        google_event(
            summary="Half \ud83d an\x00 emoji",
            organizer={"email": "bob@acme.example", "displayName": "B\x00ob\udfff"},
            attendees=[attendee("a\x00b@acme.example", displayName="\ud800")],
        )
    )
    assert event.title == "Half  an emoji"
    assert event.organizer is not None
    assert event.organizer.name == "Bob"
    assert (event.attendees[0].email or "").endswith("@acme.example")
    assert event.attendees[0].name is None


def test_a_long_title_is_kept_whole() -> None:
    title = "x " * 1500 + "attorney-client privileged"
    assert normalised(google_event(summary=title)).title == title


@pytest.mark.parametrize("title", ["x" * 5000, "x" * 4095 + "\x00" * 500 + "x" * 4000])
def test_a_title_that_was_cut_is_known_by_its_length(title: str) -> None:
    assert len(normalised(google_event(summary=title)).title) == LONGEST_TITLE


FIELDS = [
    "status", "iCalUID", "recurringEventId", "originalStartTime", "summary", "description", "location", "start", "end",
    "organizer", "attendees", "attendeesOmitted", "visibility", "eventType", "conferenceData", "updated", "recurrence",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_combination_of_wrong_types_raises(odd: dict[str, Any]) -> None:
    event = normalise_google("primary", {**google_event(), **odd}, owner_email=OWNER)
    for text in strings_of(event) if event is not None else []:
        assert "\x00" not in text
        text.encode("utf-8")
