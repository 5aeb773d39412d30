"""Whose copy leads, and a model of calendars, strangers and syncs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
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


def test_the_copy_that_led_so_far_leads_if_nobody_agrees_with_the_bot() -> None:
    led = copy("cu_b", hours=5)
    assert leader_of([copy("cu_a", age=9), led], Lead("cu_b", copy("cu_a", hours=7).place)) == led


def test_a_lead_that_moves_away_goes_to_the_oldest_that_agrees_with_the_bot() -> None:
    moved, agreeing = copy("cu_a", age=9, hours=5), copy("cu_b", age=3)
    assert leader_of([moved, copy("cu_c"), agreeing], Lead("cu_a", agreeing.place)) == agreeing


def test_the_organizers_own_copy_moves_away_with_the_bot() -> None:
    organizers = copy("cu_o", hours=5, organizer="olga@acme.test", own=True)
    guests = copy("cu_a", organizer="olga@acme.test")
    assert leader_of([organizers, guests], Lead("cu_o", guests.place)) == organizers


def test_an_organizer_moves_no_bot_away_from_a_copy_that_names_another() -> None:
    organizers = copy("cu_m", hours=5, organizer="mallory@acme.test", own=True)
    theirs = copy("cu_b", age=9, organizer="mallory@acme.test")
    honest = copy("cu_a", organizer="olga@partner.test")
    assert leader_of([organizers, theirs, honest], Lead("cu_m", honest.place)) == honest


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
    down: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)
    clock: datetime = NOW

    def sync(self, user: str) -> None:
        """Read the calendar, ask the leaders, store, and reconcile the meetings touched."""
        if user in self.down:
            return
        self.clock += timedelta(seconds=1)
        if user in self.left:
            self.reconcile(self.left.pop(user))
        if user not in self.shown:
            self.leave(user)
            return
        before = self.stored.get(user)
        read = event_at(user, self.shown[user])
        if before is not None:
            read = replace(read, identity=before.identity)
        if before is None or place_of(before.event) != self.shown[user] or user in self.unsettled:
            asked: set[str] = set()
            while others := self.contradicted(user, read) - asked:
                asked |= others
                for other in sorted(others - self.down):
                    self.read_again(other)
            (read,) = settle([read], self.surroundings(user), now=NOW).read
        if before is None or before.identity.meeting_key != read.identity.meeting_key:
            self.claimed_at[user] = self.clock
        self.stored[user] = read
        self.unsettled.discard(user)
        for key in {read.identity.meeting_key, (before or read).identity.meeting_key}:
            self.reconcile(key)

    def leave(self, user: str) -> None:
        self.unsettled.discard(user)
        self.claimed_at.pop(user, None)
        gone = self.stored.pop(user, None)
        if gone is not None:
            self.reconcile(gone.identity.meeting_key)

    def contradicted(self, user: str, read: NormalisedEvent) -> set[str]:
        leaders = settle([read], self.surroundings(user), now=NOW).contradicted
        return {leader.calendar_user_id for leader in leaders}

    def read_again(self, user: str) -> None:
        if user in self.shown:
            self.stored[user] = replace(event_at(user, self.shown[user]), identity=self.stored[user].identity)
        else:
            # Its own sync withdraws the claim.
            self.left[user] = self.stored.pop(user).identity.meeting_key
            del self.claimed_at[user]

    def surroundings(self, user: str) -> Surroundings:
        key = event_at(user, Place(("zoom", "1"), NOW)).identity.shared_key
        return Surroundings(user, {key: Claimants(self.claims(key), self.lead(key))})

    def lead(self, key: str) -> Lead:
        return Lead(self.leaders.get(key), self.bots.get(key))

    def kept(self) -> dict[str, Place]:
        """Return the bots that stand where a claimant's calendar shows the meeting now, or last did."""
        return {
            claim_key: self.bots[claim_key]
            for user, read in self.stored.items()
            if (claim_key := read.identity.meeting_key) in self.bots
            and place_of(read.event) == self.bots[claim_key]
            and (user in self.down or self.shown.get(user) == self.bots[claim_key])
        }

    def claims(self, key: str) -> list[Copy]:
        return [
            Copy(user, read.identity.event_id, self.claimed_at[user], place)
            for user, read in self.stored.items()
            if read.identity.meeting_key == key and (place := place_of(read.event)) is not None
        ]

    def reconcile(self, key: str) -> None:
        claims = self.claims(key)
        leader = leader_of(claims, self.lead(key))
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
            if not self.unsettled - self.down:
                return
            self.sync(min(self.unsettled - self.down))
        raise AssertionError("it does not settle")


here, later, elsewhere = (
    Place(("zoom", "1"), NOW + HOUR),
    Place(("zoom", "1"), NOW + 2 * HOUR),
    Place(("zoom", "2"), NOW + HOUR),
)
users = ["cu_a", "cu_b", "cu_c"]
SHARED_KEY = event_at("cu_a", here).identity.shared_key
# What happens, on whose calendar, what is shown there then, and whether the calendar is synced at once.
Step = tuple[str, str, Place, bool]
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(["honest", "hostile", "hostile", "hostile", "leave", "down", "nothing"]),
        st.sampled_from(users),
        st.sampled_from([here, here, here, later, elsewhere]),
        st.sampled_from([True, True, True, False]),
    ),
    min_size=5,
    max_size=20,
)


@given(steps)
@example([("hostile", "cu_b", here, True), ("honest", "cu_a", here, True), ("hostile", "cu_b", elsewhere, True)])
@example([("honest", "cu_a", here, True), ("hostile", "cu_b", elsewhere, True)])
@example([("honest", "cu_a", here, True), ("hostile", "cu_b", here, True), ("hostile", "cu_b", later, True)])
def test_every_meeting_shown_has_a_bot_and_no_copy_moves_anothers_bot(steps: list[Step]) -> None:
    model = Model()
    honest: set[str] = set()
    for kind, user, place, synced in steps:
        match kind:
            case "honest":
                # The organiser's change reaches every calendar that a stranger has not written to.
                honest |= {user}
                model.shown |= dict.fromkeys(sorted(honest), place)
            case "hostile":
                honest.discard(user)
                model.shown[user] = place
            case "leave":
                honest.discard(user)
                model.shown.pop(user, None)
            case "down":
                model.down ^= {user}
        if synced:
            kept = model.kept()
            model.sync(user)
            model.settle_all()
            # A copy of its own may join the shared meeting again, which has a bot there too.
            assert set(kept.values()) <= set(model.bots.values())
            assert SHARED_KEY not in kept or model.bots[SHARED_KEY] == kept[SHARED_KEY]
    model.down.clear()
    for user in users:
        model.sync(user)
        model.settle_all()
    assert set(model.shown.values()) == set(model.bots.values())
