"""An address is read as whatever mail program wrote it, and stays one person's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import Event, Response
from meetbot.domain.written_address import bare_address, is_legacy_exchange
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.events import normalise_microsoft
from meetbot.rules.people import Viewpoint
from tests.unit.providers.scripted import google_event, graph_event

OWNER = "ann@acme.example"
CYD = "cyd@customer.example"
WRAPPED = [
    "'cyd@customer.example'",
    '"cyd@customer.example"',
    "\u2018cyd@customer.example\u2019",
    "''cyd@customer.example''",
    "cyd@customer.example'",
    "<cyd@customer.example>",
    "Cyd <cyd@customer.example>",
    '"Cyd, Customer" <cyd@customer.example>',
    "'Cyd' <'cyd@customer.example'>",
    "'Cyd <cyd@customer.example>'",
    "ann@acme.example <cyd@customer.example>",
    "mailto:cyd@customer.example",
    "MAILTO:cyd@customer.example?subject=Hi@acme.example",
    "mailto:cyd%40customer.example",
    "<mailto:cyd@customer.example>",
    "Cyd [mailto:cyd@customer.example]",
    "Cyd <mailto:cyd@customer.example>",
    "SMTP:cyd@customer.example",
    "cyd@customer.example;",
    "cyd@customer.example (Cyd)",
    "\u202acyd@customer.example\u202c",
    "\ufeff cyd@customer.example\u200b",
    '"cyd"@customer.example',
]
PLAIN = [
    "cyd@customer.example",
    "o'brien@customer.example",
    "'quoted@customer.example",
    "cyd+tag@customer.example",
    '"a b"@customer.example',
    '"ann@acme.example"@customer.example',
    "cyd@[192.0.2.1]",
    "c_1@group.calendar.google.com",
    "cyd@b\u00fccher.example",
    "no address",
    "",
]


@pytest.mark.parametrize("written", WRAPPED)
def test_an_address_in_quotes_or_with_a_name_is_that_address(written: str) -> None:
    assert bare_address(written) == CYD


@pytest.mark.parametrize("written", PLAIN)
def test_an_address_that_is_bare_stays_as_it_is(written: str) -> None:
    assert bare_address(written) == written


@given(st.text(alphabet="'\"<>[]() ;,:@.mailtoab\u200b/=", max_size=40))
def test_reading_an_address_ends_and_makes_it_no_longer(written: str) -> None:
    assert len(bare_address(written)) <= len(written)


def test_reading_a_hostile_address_takes_linear_time() -> None:
    for part in ("'", "<", ">", "mailto:", "(", "[mailto:", "<mailto:'"):
        written = part * 200_000 + CYD + part * 200_000
        assert len(bare_address(written)) <= len(written)


@pytest.mark.parametrize("written", WRAPPED)
@pytest.mark.parametrize("place", ["attendee", "organizer"])
def test_such_an_address_counts_with_its_domain_at_both_providers(written: str, place: str) -> None:
    for event in (google_with(place, written), graph_with(place, written)):
        people = Viewpoint(OWNER, ()).people_of(event)
        assert "customer.example" in people.domains
        assert people.external_count == 1


@pytest.mark.parametrize("owner", ["'ann@acme.example'", "Ann <ann@acme.example>"])
def test_the_owner_in_quotes_is_the_owner(owner: str) -> None:
    for event in (google_with("attendee", owner), graph_with("attendee", owner)):
        assert event.attendees[0].is_self
        assert event.owner_response is not None


@pytest.mark.parametrize(
    "written",
    [
        "/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=0a1b-bob",
        "/O=ACME/OU=FIRST/CN=RECIPIENTS/CN=BOB",
        "EX:/o=ExchangeLabs/ou=x/cn=Recipients/cn=bob",
        "IMCEAEX-_O=EXCHANGELABS_OU=X_CN=RECIPIENTS_CN=BOB@namprd01.prod.outlook.com",
    ],
)
def test_a_legacy_exchange_address_is_a_colleague(written: str) -> None:
    assert is_legacy_exchange(written)
    people = Viewpoint(OWNER, ()).people_of(graph_with("attendee", written))
    assert people.internal
    assert people.external_count == 0


def test_two_legacy_exchange_addresses_are_two_people() -> None:
    one, other = (graph_with("attendee", f"/o=Acme/cn=Recipients/cn={name}") for name in ("bob", "eve"))
    assert one.attendees[0].email != other.attendees[0].email


@pytest.mark.parametrize(
    "written", ["/o=x@customer.example", "x/o=/cn=", "/cn=bob", "IMCEAEX-@", "IMCEAEX-_O=X_CN=CYD@customer.example"]
)
def test_what_only_looks_like_a_legacy_address_is_none(written: str) -> None:
    assert not is_legacy_exchange(written)


ROOM = {
    "displayName": "Board room",
    "locationUri": "board@rooms.acme.example",
    "locationType": "conferenceRoom",
    "uniqueId": "board@rooms.acme.example",
    "uniqueIdType": "directory",
}


@pytest.mark.parametrize(
    "places",
    [
        {"locations": [ROOM]},
        {"location": ROOM},
        {"locations": [{"displayName": "Board room", "locationEmailAddress": "Board@Rooms.acme.example"}]},
        {"locations": [None, 7, {"displayName": None}, ROOM]},
    ],
)
@pytest.mark.parametrize("kind", ["required", "optional", None])
def test_a_room_that_the_event_names_is_a_room_whatever_its_attendee_type(
    places: dict[str, Any], kind: str | None
) -> None:
    room = {"emailAddress": {"name": "Board room", "address": "'board@rooms.acme.example'"}, "type": kind}
    event = normalise_microsoft("primary", graph_event(attendees=[room], **places), owner_email=OWNER)
    assert event is not None
    assert event.attendees[0].resource


@pytest.mark.parametrize(
    "place",
    [
        {"displayName": CYD, "locationType": "default", "uniqueId": CYD, "uniqueIdType": "private"},
        {"displayName": CYD, "locationUri": CYD, "locationType": "default", "uniqueIdType": "unknown"},
    ],
)
def test_a_person_whom_somebody_typed_as_the_place_is_no_room(place: dict[str, Any]) -> None:
    cyd = {"emailAddress": {"address": CYD}, "type": "required"}
    event = normalise_microsoft(
        "primary", graph_event(attendees=[cyd], location=place, locations=[place]), owner_email=OWNER
    )
    assert event is not None
    assert not event.attendees[0].resource


UPN = "ann.owner@acme.onmicrosoft.example"


def test_the_owner_under_another_address_of_the_account_is_the_owner() -> None:
    listed = {"emailAddress": {"address": UPN}, "type": "required", "status": {"response": "declined"}}
    raw = graph_event(attendees=[listed], responseStatus=None)
    event = normalise_microsoft("primary", raw, owner_email=OWNER, owner_aliases=(UPN.upper(),))
    assert event is not None
    assert event.attendees[0].is_self
    assert event.owner_response is Response.DECLINED


def test_the_owner_counts_once_under_two_addresses() -> None:
    listed = {"emailAddress": {"address": OWNER}, "type": "required", "status": {"response": "accepted"}}
    raw = graph_event(attendees=[listed], organizer={"emailAddress": {"address": UPN}}, isOrganizer=True)
    event = normalise_microsoft("primary", raw, owner_email=OWNER, owner_aliases=(UPN,))
    assert event is not None
    people = Viewpoint(OWNER, ()).people_of(event)
    assert people.size == 1
    assert people.internal
    assert people.identities == {OWNER, UPN}


def google_with(place: str, written: str) -> Event:
    person = {"email": written, "responseStatus": "accepted"}
    people: dict[str, Any] = {"attendees": [person]} if place == "attendee" else {"organizer": person}
    event = normalise_google("primary", google_event(**people), owner_email=OWNER)
    assert event is not None
    return event


def graph_with(place: str, written: str) -> Event:
    person = {"emailAddress": {"name": "P", "address": written}, "type": "required", "status": {"response": "accepted"}}
    bob = {"emailAddress": {"name": "Bob", "address": "bob@acme.example"}}
    people: dict[str, Any] = {"attendees": [person], "organizer": bob}
    if place == "organizer":
        people = {"attendees": [], "organizer": person}
    event = normalise_microsoft("primary", graph_event(**people), owner_email=OWNER)
    assert event is not None
    return event
