"""Whose copy leads, and a model of calendars, strangers and syncs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.calendars.event_decisions import NormalisedEvent
from meetbot.calendars.settle_keys import Claimants, Surroundings, settle
from meetbot.domain.event import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Visibility
from meetbot.domain.identity import identity_of
from meetbot.domain.leadership import Copy, Lead, Place, leader_of, place_of, room_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def copy(user: str, *, age: int = 0, hours: int = 1, organizer: str | None = None, own: bool = False) -> Copy:
    return Copy(user, f"evt_{user}", NOW - age * HOUR, Place(("zoom", "1"), NOW + hours * HOUR), organizer, own)


def test_the_copy_that_led_so_far_leads_whatever_it_says_now() -> None:
    led = copy("cu_b", hours=5)
    assert leader_of([copy("cu_a", age=9), led], Lead("cu_b", copy("cu_a").place)) == led


def test_a_lead_that_is_gone_goes_to_the_oldest_that_agrees_with_the_bot() -> None:
    oldest, agreeing = copy("cu_a", age=9, hours=5), copy("cu_b", age=3)
    assert leader_of([oldest, copy("cu_c"), agreeing], Lead("cu_gone", agreeing.place)) == agreeing


def test_a_lead_that_is_gone_goes_to_the_oldest_if_nobody_agrees_with_the_bot() -> None:
    oldest = copy("cu_b", age=9)
    assert leader_of([copy("cu_a"), oldest], Lead("cu_gone", copy("cu_a", hours=7).place)) == oldest


def test_the_organizers_own_copy_leads_if_the_leading_one_names_them() -> None:
    led = copy("cu_a", age=9, organizer="Olga@acme.test")
    organizers = copy("cu_o", hours=5, organizer="olga@acme.test", own=True)
    assert leader_of([led, organizers], Lead("cu_a")) == organizers


@pytest.mark.parametrize("named", ["somebody@else.test", None])
def test_a_copy_that_calls_itself_the_organizers_does_not_lead(named: str | None) -> None:
    led = copy("cu_a", age=9, organizer=named)
    assert leader_of([led, copy("cu_o", organizer="olga@acme.test", own=True)], Lead("cu_a")) == led


def test_nobody_leads_a_meeting_that_nobody_claims() -> None:
    assert leader_of([]) is None


def test_a_room_is_its_platforms_id_however_the_link_is_written() -> None:
    assert room_of("zoom", "1", "https://zoom.us/j/1") == room_of("zoom", "1", "https://zoom.us/j/1?pwd=x")
    assert room_of("whereby", None, "https://whereby.com/a") != room_of("whereby", None, "https://whereby.com/b")


def event_at(user: str, place: Place, uid: str = "uid") -> NormalisedEvent:
    event = Event(
        provider=Provider.GOOGLE,
        calendar_id="primary",
        provider_event_id="e",
        ical_uid=uid,
        original_start=None,
        title="",
        start=place.start,
        end=place.start + HOUR,
        all_day=False,
        status=EventStatus.CONFIRMED,
        organizer=Attendee("olga@partner.test"),
        attendees=(),
        is_organizer=False,
        owner_response=None,
        recurring=False,
        visibility=Visibility.DEFAULT,
        link=MeetingLink(Platform.ZOOM, f"https://zoom.us/j/{place.room[1]}", place.room[1], None, "location"),
    )
    return NormalisedEvent(event, identity_of(event, "ten_1", user), b"")


@dataclass
class Model:
    """What calendars show, what is stored of them, and the place of each meeting's bot."""

    shown: dict[str, Place] = field(default_factory=dict)
    stored: dict[str, NormalisedEvent] = field(default_factory=dict)
    claimed_at: dict[str, datetime] = field(default_factory=dict)
    leaders: dict[str, str] = field(default_factory=dict)
    bots: dict[str, Place] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)
    clock: datetime = NOW

    def sync(self, user: str) -> None:
        """Read the calendar, ask the leader, store, and reconcile the meetings touched."""
        self.clock += timedelta(seconds=1)
        if user not in self.shown:
            gone = self.stored.pop(user, None)
            self.claimed_at.pop(user, None)
            if gone is not None:
                self.reconcile(gone.identity.meeting_key)
            return
        before = self.stored.get(user)
        read = event_at(user, self.shown[user])
        if before is not None:
            read = replace(read, identity=before.identity)
        if before is None or place_of(before.event) != self.shown[user] or user in self.unsettled:
            for leader in settle([read], self.surroundings(user), now=NOW).contradicted:
                self.read_again(leader.calendar_user_id)
            (read,) = settle([read], self.surroundings(user), now=NOW).read
        if before is None or before.identity.meeting_key != read.identity.meeting_key:
            self.claimed_at[user] = self.clock
        self.stored[user] = read
        self.unsettled.discard(user)
        for key in {read.identity.meeting_key, (before or read).identity.meeting_key}:
            self.reconcile(key)

    def read_again(self, user: str) -> None:
        if user in self.shown:
            self.stored[user] = replace(event_at(user, self.shown[user]), identity=self.stored[user].identity)
        else:
            del self.stored[user], self.claimed_at[user]

    def surroundings(self, user: str) -> Surroundings:
        key = event_at(user, Place(("zoom", "1"), NOW)).identity.shared_key
        return Surroundings(user, {key: Claimants(self.claims(key), Lead(self.leaders.get(key)))})

    def claims(self, key: str) -> list[Copy]:
        return [
            Copy(user, read.identity.event_id, self.claimed_at[user], place)
            for user, read in self.stored.items()
            if read.identity.meeting_key == key and (place := place_of(read.event)) is not None
        ]

    def reconcile(self, key: str) -> None:
        claims = self.claims(key)
        leader = leader_of(claims, Lead(self.leaders.get(key), self.bots.get(key)))
        if leader is None:
            self.bots.pop(key, None)
            return
        self.leaders[key], self.bots[key] = leader.calendar_user_id, leader.place
        self.unsettled |= {one.calendar_user_id for one in claims if one.place != leader.place}
        self.unsettled |= {
            user
            for user, read in self.stored.items()
            if read.identity.shared_key == key != read.identity.meeting_key and place_of(read.event) == leader.place
        }

    def settle_all(self) -> None:
        for _ in range(20):
            if not self.unsettled:
                return
            self.sync(min(self.unsettled))
        raise AssertionError("it does not settle")


places = st.builds(
    Place, st.sampled_from(["1", "2"]).map(lambda room: ("zoom", room)), st.sampled_from([NOW + HOUR, NOW + 2 * HOUR])
)
users = ["cu_a", "cu_b", "cu_c"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("honest"), st.none(), st.one_of(st.none(), places)),
        st.tuples(st.just("hostile"), st.sampled_from(users), places),
        st.tuples(st.just("leave"), st.sampled_from(users), st.none()),
        st.tuples(st.just("sync"), st.sampled_from(users), st.none()),
    ),
    max_size=25,
)


@given(steps)
def test_every_meeting_shown_has_a_bot_and_no_hostile_copy_moves_an_honest_one(
    steps: list[tuple[str, str, Place | None]],
) -> None:
    model = Model()
    honest: set[str] = set()
    for kind, user, place in steps:
        match kind:
            case "honest":
                # The organiser's change reaches every calendar that a stranger has not written to.
                model.shown |= dict.fromkeys(sorted(honest or {"cu_a"}), place) if place is not None else {}
                honest |= {"cu_a"} if place is not None else set()
            case "hostile":
                assert place is not None
                honest.discard(user)
                model.shown[user] = place
            case "leave":
                honest.discard(user)
                model.shown.pop(user, None)
            case "sync":
                led = {key: leader for key, leader in model.leaders.items() if leader != user}
                standing = {key: model.bots.get(key) for key in led}
                shown = {key: model.shown.get(leader) for key, leader in led.items()}
                model.sync(user)
                for key, before in standing.items():
                    # Another's sync may only bring a bot to where its own leader's calendar shows the meeting.
                    if model.leaders.get(key) == led[key]:
                        assert model.bots.get(key) in (before, shown[key])
                model.settle_all()
    for user in users:
        model.sync(user)
        model.settle_all()
    assert set(model.shown.values()) == set(model.bots.values())
