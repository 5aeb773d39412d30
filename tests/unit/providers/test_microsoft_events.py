"""A Graph event becomes an `Event`, with any part of it missing, odd or hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import Event, EventStatus, Provider, Response, Visibility
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.events import normalise_microsoft
from tests.unit.providers.odd_json import JSON, strings_of
from tests.unit.providers.scripted import google_event, graph_event
from tests.unit.providers.test_ical_uid import foreign, goid

OWNER = "ann@acme.example"


def normalised(raw: dict[str, Any]) -> Event:
    event = normalise_microsoft("primary", raw, owner_email=OWNER)
    assert event is not None
    return event


def attendee(address: str | None, answer: str = "accepted", kind: str = "required") -> dict[str, Any]:
    return {"emailAddress": {"name": "P", "address": address}, "status": {"response": answer}, "type": kind}


def at(moment: str, zone: str = "UTC") -> dict[str, str]:
    return {"dateTime": moment, "timeZone": zone}


def test_a_plain_meeting_is_read_whole() -> None:
    event = normalised(
        graph_event(attendees=[attendee("Ann@acme.example", "tentativelyAccepted"), attendee("joe@customer.com")])
    )
    assert event.provider is Provider.MICROSOFT
    assert event.provider_event_id == "AAMk1"
    assert event.ical_uid == "AAMk1@outlook.example"
    assert event.title == "Weekly"
    assert event.start == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    assert event.end == datetime(2026, 3, 12, 9, 30, tzinfo=UTC)
    assert event.status is EventStatus.CONFIRMED
    assert event.organizer is not None
    assert (event.organizer.email, event.organizer.organizer) == ("bob@acme.example", True)
    assert not event.is_organizer
    assert event.owner_response is Response.ACCEPTED
    assert [person.is_self for person in event.attendees] == [True, False]
    assert event.updated == datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


# One meeting, many copies


def test_a_google_meeting_on_an_outlook_calendar_has_the_same_uid_and_original_start() -> None:
    organisers = normalise_google(
        "primary",
        google_event(
            "abc_1",
            iCalUID="abc@google.com",
            recurringEventId="abc",
            originalStartTime={"dateTime": "2026-03-11T10:00:00+01:00"},
        ),
        owner_email=OWNER,
    )
    guests = normalised(
        graph_event(
            iCalUId=foreign("abc@google.com", "07EA030B"),
            type="exception",
            seriesMasterId="M",
            originalStart="2026-03-11T09:00:00Z",
        )
    )
    assert organisers is not None
    assert (organisers.ical_uid, organisers.original_start) == (guests.ical_uid, guests.original_start)


@pytest.mark.parametrize("uid", [goid(), goid("07EA030C")])
def test_a_uid_per_series_and_a_uid_per_occurrence_name_the_same_occurrence(uid: str) -> None:
    event = normalised(
        graph_event(iCalUId=uid, type="occurrence", seriesMasterId="M", originalStart="2026-03-12T09:00:00Z")
    )
    assert (event.ical_uid, event.original_start) == (goid(), datetime(2026, 3, 12, 9, 0, tzinfo=UTC))


def test_a_guest_of_one_occurrence_shares_its_original_start() -> None:
    member = normalised(
        graph_event(iCalUId=goid(), type="occurrence", seriesMasterId="M", originalStart="2026-03-12T09:00:00Z")
    )
    guest = normalised(graph_event(iCalUId=goid("07EA030C")))
    assert guest.recurring
    assert (guest.ical_uid, guest.original_start) == (member.ical_uid, member.original_start)


def test_an_instance_date_far_from_the_start_gives_no_original_start() -> None:
    event = normalised(graph_event(iCalUId=goid("07EA0314")))
    assert event.original_start is None
    assert not event.recurring


def test_a_null_uid_stays_null() -> None:
    assert normalised(graph_event(iCalUId=None)).ical_uid is None


def test_a_single_meeting_has_no_original_start() -> None:
    event = normalised(graph_event(iCalUId=goid()))
    assert event.original_start is None
    assert not event.recurring


def test_a_moved_occurrence_keeps_its_original_start() -> None:
    event = normalised(graph_event(type="exception", seriesMasterId="M", originalStart="2026-03-10T09:00:00Z"))
    assert event.original_start == datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
    assert event.start == datetime(2026, 3, 12, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("original", [None, "0001-01-01T00:00:00Z", "soon", 5])
def test_an_occurrence_without_original_start_uses_its_start(original: object) -> None:
    event = normalised(graph_event(type="occurrence", seriesMasterId="M", originalStart=original))
    assert event.original_start == event.start


def test_an_all_day_occurrence_has_the_original_start_that_google_gives_it() -> None:
    event = normalised(
        graph_event(
            type="exception",
            seriesMasterId="M",
            isAllDay=True,
            start=at("2026-03-13T00:00:00.0000000"),
            end=at("2026-03-14T00:00:00.0000000"),
            originalStart="2026-03-11T23:00:00Z",
            originalStartTimeZone="W. Europe Standard Time",
        )
    )
    assert event.all_day
    assert event.original_start == datetime(2026, 3, 12, tzinfo=UTC)


def test_a_series_master_is_no_event() -> None:
    assert normalise_microsoft("primary", graph_event(type="seriesMaster"), owner_email=OWNER) is None


def test_a_bare_occurrence_does_not_break() -> None:
    event = normalised({"id": "O1", "type": "occurrence", "seriesMasterId": "M", "start": at("2026-03-12T09:00:00")})
    assert event.recurring
    assert event.title == ""


def test_a_removed_item_is_cancelled() -> None:
    event = normalised({"id": "gone", "@removed": {"reason": "deleted"}})
    assert event.status is EventStatus.CANCELLED
    assert event.start is None


# Time


def test_a_windows_zone_is_understood_although_we_ask_for_utc() -> None:
    event = normalised(graph_event(start=at("2026-03-09T09:00:00.0000000", "Pacific Standard Time")))
    assert event.start == datetime(2026, 3, 9, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "start",
    [
        at("2026-03-09T09:00:00.0000000", "tzone://Microsoft/Custom"),
        at("0001-01-01T00:00:00.0000000"),
        at("9999-12-31T00:00:00.0000000"),
        None,
        {},
        "now",
    ],
)
def test_an_unusable_start_is_none(start: object) -> None:
    assert normalised(graph_event(start=start)).start is None


@pytest.mark.parametrize("zone", ["UTC", "Tokyo Standard Time", "Pacific Standard Time", "tzone://Microsoft/Custom"])
def test_an_all_day_event_starts_at_midnight_utc_in_every_zone(zone: str) -> None:
    event = normalised(
        graph_event(
            isAllDay=True,
            start=at("2026-03-12T00:00:00.0000000", zone),
            end=at("2026-03-13T00:00:00.0000000", zone),
        )
    )
    assert event.all_day
    assert (event.start, event.end) == (datetime(2026, 3, 12, tzinfo=UTC), datetime(2026, 3, 13, tzinfo=UTC))


# State


def test_a_cancelled_meeting_is_known_by_its_flag() -> None:
    assert normalised(graph_event(isCancelled=True, subject="Abgesagt: Weekly")).status is EventStatus.CANCELLED


def test_a_subject_that_says_cancelled_cancels_nothing() -> None:
    assert normalised(graph_event(isCancelled=False, subject="Canceled: Weekly")).status is EventStatus.CONFIRMED


def test_a_draft_is_no_meeting() -> None:
    assert not normalised(graph_event(isDraft=True)).is_meeting
    assert normalised(graph_event(isDraft=None)).is_meeting


@pytest.mark.parametrize(
    ("word", "visibility"),
    [
        ("normal", Visibility.DEFAULT),
        ("personal", Visibility.PRIVATE),
        ("private", Visibility.PRIVATE),
        ("confidential", Visibility.CONFIDENTIAL),
        (None, Visibility.DEFAULT),
    ],
)
def test_sensitivity_becomes_visibility(word: str | None, visibility: Visibility) -> None:
    assert normalised(graph_event(sensitivity=word)).visibility is visibility


# People


@pytest.mark.parametrize(
    ("word", "response"),
    [
        ("accepted", Response.ACCEPTED),
        ("tentativelyAccepted", Response.TENTATIVE),
        ("declined", Response.DECLINED),
        ("none", Response.NEEDS_ACTION),
        ("notResponded", Response.NEEDS_ACTION),
        ("organizer", Response.ACCEPTED),
        ("unknownFutureValue", Response.NEEDS_ACTION),
    ],
)
def test_the_owners_response_is_the_response_status(word: str, response: Response) -> None:
    assert normalised(graph_event(responseStatus={"response": word})).owner_response is response


def test_an_appointment_of_ones_own_counts_as_accepted() -> None:
    event = normalised(graph_event(isOrganizer=True, responseStatus={"response": "none"}))
    assert event.is_organizer
    assert event.owner_response is Response.ACCEPTED


def test_without_a_response_status_the_owners_entry_in_the_list_counts() -> None:
    event = normalised(graph_event(responseStatus=None, attendees=[attendee(OWNER, "declined")]))
    assert event.owner_response is Response.DECLINED


@pytest.mark.parametrize(
    ("status", "listed", "response"),
    [
        ("none", "declined", Response.DECLINED),
        ("accepted", "declined", Response.DECLINED),
        ("declined", "accepted", Response.DECLINED),
        ("Declined", "none", Response.DECLINED),
        ("none", "accepted", Response.ACCEPTED),
        ("notResponded", "tentativelyAccepted", Response.TENTATIVE),
        ("tentativelyAccepted", "accepted", Response.TENTATIVE),
        ("accepted", "none", Response.ACCEPTED),
    ],
)
def test_the_owner_has_declined_if_the_status_or_the_list_says_so(status: str, listed: str, response: Response) -> None:
    event = normalised(graph_event(responseStatus={"response": status}, attendees=[attendee(OWNER, listed)]))
    assert event.owner_response is response


def test_the_owner_has_declined_under_an_address_with_a_tag() -> None:
    event = normalised(
        graph_event(responseStatus={"response": "none"}, attendees=[attendee("ann+work@acme.example", "declined")])
    )
    assert event.owner_response is Response.DECLINED


@pytest.mark.parametrize("organises_as", [OWNER, "annie@acme.example"])
def test_an_organiser_who_declines_has_declined(organises_as: str) -> None:
    organised: dict[str, Any] = {"isOrganizer": True, "organizer": {"emailAddress": {"address": organises_as}}}
    by_status = normalised(graph_event(**organised, responseStatus={"response": "declined"}))
    in_the_list = normalised(graph_event(**organised, attendees=[attendee(organises_as, "declined")]))
    assert by_status.owner_response is Response.DECLINED
    assert in_the_list.owner_response is Response.DECLINED


def test_an_owner_who_is_not_listed_has_no_response() -> None:
    event = normalised(graph_event(responseStatus=None, attendees=[attendee("everybody@acme.example")]))
    assert event.owner_response is None


def test_a_room_is_marked_as_a_resource() -> None:
    assert normalised(graph_event(attendees=[attendee("room@acme.example", kind="resource")])).attendees[0].resource


def test_the_organiser_is_marked_in_the_list_of_attendees() -> None:
    assert normalised(graph_event(attendees=[attendee("BOB@acme.example")])).attendees[0].organizer


@pytest.mark.parametrize(("organises", "complete"), [(False, False), (True, True)])
def test_hidden_attendees_are_known_to_be_incomplete(organises: bool, complete: bool) -> None:
    assert normalised(graph_event(hideAttendees=True, isOrganizer=organises)).attendees_complete is complete


def test_nulls_that_graph_sends_do_no_harm() -> None:
    event = normalised(
        graph_event(
            subject=None, body=None, organizer=None, attendees=[attendee(None), {"emailAddress": None}], location=None
        )
    )
    assert event.title == ""
    assert event.organizer is None
    assert [person.email for person in event.attendees] == [None, None]


FIELDS = [
    "iCalUId", "type", "seriesMasterId", "originalStart", "originalStartTimeZone", "subject", "body", "start", "end",
    "isAllDay", "isCancelled", "isDraft", "isOrganizer", "organizer", "attendees", "hideAttendees", "responseStatus",
    "sensitivity", "location", "locations", "onlineMeeting", "lastModifiedDateTime",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_combination_of_wrong_types_raises(odd: dict[str, Any]) -> None:
    event = normalise_microsoft("primary", {**graph_event(), **odd}, owner_email=OWNER)
    for text in strings_of(event) if event is not None else []:
        assert "\x00" not in text
        text.encode("utf-8")
