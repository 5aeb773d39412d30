"""Who organises a Google event, who is invited, and what the owner has answered."""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.domain.event import Response
from meetbot.providers.google.events import normalise_google
from tests.unit.providers.google_reading import OWNER, attendee, normalised
from tests.unit.providers.scripted import google_event


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
