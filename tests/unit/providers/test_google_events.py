"""A Google event becomes an `Event`, with any part of it missing, odd or hostile."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import (
    LONGEST_TITLE,
    Event,
    EventStatus,
    MeetingLink,
    Platform,
    Provider,
    Response,
    Visibility,
)
from meetbot.providers import event_fields
from meetbot.providers.google.events import normalise_google
from tests.unit.providers.scripted import google_event

OWNER = "ann@acme.example"


def normalised(raw: dict[str, Any]) -> Event:
    event = normalise_google("primary", raw, owner_email=OWNER)
    assert event is not None
    return event


def attendee(email: str, answer: str = "accepted", **flags: Any) -> dict[str, Any]:
    return {"email": email, "responseStatus": answer, **flags}


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


# People


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ("accepted", Response.ACCEPTED),
        ("declined", Response.DECLINED),
        ("tentative", Response.TENTATIVE),
        ("needsAction", Response.NEEDS_ACTION),
        ("somethingNew", Response.NEEDS_ACTION),
        (None, Response.NEEDS_ACTION),
    ],
)
def test_the_owners_response_is_the_one_marked_self(answer: str | None, response: Response) -> None:
    event = normalised(
        google_event(
            organizer={"email": "bob@acme.example"},
            attendees=[attendee("bob@acme.example"), {"email": OWNER, "self": True, "responseStatus": answer}],
        )
    )
    assert event.owner_response is response
    assert not event.is_organizer


def test_the_owner_is_found_by_address_if_no_entry_is_marked_self() -> None:
    event = normalised(
        google_event(organizer={"email": "bob@acme.example"}, attendees=[attendee("Ann@ACME.example", "declined")])
    )
    assert event.owner_response is Response.DECLINED
    assert event.attendees[0].is_self


def test_an_organiser_alone_counts_as_accepted() -> None:
    event = normalised(google_event())
    assert event.attendees == ()
    assert event.owner_response is Response.ACCEPTED


def test_an_owner_invited_through_a_group_has_no_response() -> None:
    event = normalised(
        google_event(organizer={"email": "bob@acme.example"}, attendees=[attendee("everybody@acme.example")])
    )
    assert event.owner_response is None


TEAM = "c_1@group.calendar.google.com"
BOB = "bob@acme.example"


def answer_on(calendar_id: str, *attendees: dict[str, Any], **fields: Any) -> Response | None:
    """The owner's answer to an event that somebody else organises."""
    raw = google_event(**{"organizer": {"email": BOB}, "attendees": list(attendees), **fields})
    event = normalise_google(calendar_id, raw, owner_email=OWNER)
    assert event is not None
    return event.owner_response


@pytest.mark.parametrize("calendar_id", ["primary", TEAM])
@pytest.mark.parametrize("turned", [False, True])
def test_the_response_of_a_secondary_calendar_is_not_the_owners(calendar_id: str, turned: bool) -> None:
    both = [attendee(TEAM, "accepted", self=True), attendee(OWNER, "declined")]
    assert answer_on(calendar_id, *(reversed(both) if turned else both)) is Response.DECLINED
    both = [attendee(TEAM, "declined", self=True), attendee(OWNER, "accepted")]
    assert answer_on(calendar_id, *(reversed(both) if turned else both)) is Response.ACCEPTED


@pytest.mark.parametrize("turned", [False, True])
def test_on_a_colleagues_calendar_the_owners_own_entry_counts(turned: bool) -> None:
    both = [attendee(BOB, "accepted", self=True), attendee(OWNER, "declined")]
    assert answer_on(BOB, *(reversed(both) if turned else both)) is Response.DECLINED
    both = [attendee(BOB, "declined", self=True), attendee(OWNER, "tentative")]
    assert answer_on(BOB, *(reversed(both) if turned else both)) is Response.TENTATIVE


@pytest.mark.parametrize(("calendar_id", "marked"), [(BOB, BOB), (TEAM, TEAM)])
@pytest.mark.parametrize(
    ("answer", "response"), [("accepted", None), ("tentative", None), ("declined", Response.DECLINED)]
)
def test_the_calendar_may_only_decline_for_an_owner_who_is_not_listed(
    calendar_id: str, marked: str, answer: str, response: Response | None
) -> None:
    assert answer_on(calendar_id, attendee(marked, answer, self=True)) is response


def test_a_colleague_is_not_the_owner_of_what_stands_on_their_calendar() -> None:
    raw = google_event(organizer={"email": BOB, "self": True}, attendees=[attendee(BOB, self=True)])
    event = normalise_google(BOB, raw, owner_email=OWNER)
    assert event is not None
    assert not event.is_organizer
    assert not event.attendees[0].is_self
    assert event.owner_response is None


def test_the_owner_organises_what_their_secondary_calendar_organises() -> None:
    event = normalise_google(TEAM, google_event(organizer={"email": TEAM, "self": True}), owner_email=OWNER)
    assert event is not None
    assert (event.is_organizer, event.owner_response) == (True, Response.ACCEPTED)


@pytest.mark.parametrize("address", ["ann+work@acme.example", "ANN+a+b@Acme.Example", "ann@acme.example."])
def test_the_owner_is_the_same_person_under_every_spelling(address: str) -> None:
    assert answer_on("primary", attendee(address, "declined")) is Response.DECLINED


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ("declined", "accepted", Response.DECLINED),
        ("declined", "needsAction", Response.DECLINED),
        ("accepted", "tentative", Response.ACCEPTED),
        ("tentative", "needsAction", Response.TENTATIVE),
    ],
)
def test_of_several_responses_of_the_owner_the_strongest_counts(
    one: str, other: str, counts: Response, turned: bool
) -> None:
    both = [attendee(OWNER, one), attendee("ann+work@acme.example", other)]
    assert answer_on("primary", *(reversed(both) if turned else both)) is counts


def test_an_alias_that_google_marks_as_self_is_the_owner() -> None:
    assert answer_on("primary", attendee("annie@acme.example", "declined", self=True)) is Response.DECLINED


def test_an_organiser_who_declines_has_declined() -> None:
    declined = attendee(OWNER, "declined", organizer=True, self=True)
    assert answer_on("primary", declined, organizer={"email": OWNER, "self": True}) is Response.DECLINED


def test_a_declined_response_counts_in_any_letter_case() -> None:
    assert answer_on("primary", attendee(OWNER, "Declined")) is Response.DECLINED


def test_the_owners_response_is_found_at_the_end_of_a_long_list() -> None:
    crowd = [attendee(f"p{number}@acme.example") for number in range(1500)]
    repeated = [attendee("ann+1@acme.example", "accepted"), *crowd, attendee(OWNER, "declined"), attendee(OWNER)]
    assert answer_on("primary", *crowd, attendee(OWNER, "declined")) is Response.DECLINED
    assert answer_on("primary", *crowd, *repeated) is Response.DECLINED


def test_a_room_is_marked_as_a_resource() -> None:
    event = normalised(google_event(attendees=[attendee("room@resource.calendar.google.com", resource=True)]))
    assert event.attendees[0].resource


@pytest.mark.parametrize(
    ("raw", "complete"),
    [
        (google_event(attendeesOmitted=True), False),
        (google_event(guestsCanSeeOtherGuests=False), True),
        (google_event(guestsCanSeeOtherGuests=False, organizer={"email": "bob@acme.example"}), False),
        (google_event(), True),
    ],
)
def test_a_hidden_guest_list_is_known_to_be_incomplete(raw: dict[str, Any], complete: bool) -> None:
    assert normalised(raw).attendees_complete is complete


def test_a_guest_list_is_cut_at_a_thousand_and_says_so() -> None:
    event = normalised(google_event(attendees=[attendee(f"p{number}@acme.example") for number in range(1001)]))
    assert len(event.attendees) == 1000
    assert not event.attendees_complete


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("x" * 330 + "@customer.com", "customer.com"),
        ("x" * 330 + "@" + "y" * 330 + "@customer.com", "customer.com"),
        ("a@" + "b." * 200 + "customer.com", "customer.com"),
        ("a@customer.com." + "x" * 400, "x" * 253),
        ("a\x00b@customer.com", "customer.com"),
        ("a@cust\x00omer.com", "cust\ufffdomer.com"),
    ],
)
def test_the_domain_of_an_address_that_cannot_be_stored_is_kept(address: str, domain: str) -> None:
    event = normalised(google_event(attendees=[attendee(address)], organizer={"email": address}))
    assert event.organizer is not None
    for email in (event.attendees[0].email, event.organizer.email):
        assert email is not None
        assert len(email) <= 320
        assert email.endswith(domain)


def test_an_overlong_address_becomes_no_other_persons() -> None:
    people = [attendee("ann" + "x" * 330 + tail + "@acme.example") for tail in "ab"]
    event = normalised(google_event(attendees=people))
    assert len({person.email for person in event.attendees}) == 2
    assert not any(person.is_self or (person.email or "").startswith("ann") for person in event.attendees)


@pytest.mark.parametrize("address", ["x" * 400, "x" * 400 + "@", "a\x00b", "", 5, None])
def test_an_overlong_address_without_a_domain_is_none(address: object) -> None:
    event = normalised(google_event(attendees=[{"email": address}]))
    assert event.attendees[0].email is None


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


def strings_of(event: Event) -> list[str]:
    found: list[str] = []
    for field in fields(event):
        value = getattr(event, field.name)
        found.extend([value] if isinstance(value, str) else [])
    people = [*event.attendees, *([event.organizer] if event.organizer else [])]
    for person in people:
        found.extend(text for text in (person.email, person.name) if text is not None)
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
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
