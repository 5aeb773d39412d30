"""Which push channels a calendar user is to have, and what brings that about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.event import Provider
from meetbot.domain.push import Channel, ChannelState, PushState, push_health
from meetbot.push.plan import PushPlan, Want, pause_after, plan_push

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GOOGLE, MICROSOFT = Provider.GOOGLE, Provider.MICROSOFT
CALENDARS = frozenset({"primary"})


def channel(channel_id: str = "psh_1", **changes: object) -> Channel:
    usual = Channel(
        id=channel_id,
        calendar_id="primary",
        state=ChannelState.ACTIVE,
        opened_at=NOW - HOUR,
        expires_at=NOW + 6 * DAY,
        verified_at=NOW - HOUR,
        closable=True,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def wanted(**changes: object) -> Channel:
    return replace(Channel(id="psh_w", calendar_id="primary", state=ChannelState.WANTED), **changes)  # type: ignore[arg-type]


def plan(*channels: Channel, calendars: frozenset[str] | None = CALENDARS, provider: Provider = GOOGLE) -> PushPlan:
    return plan_push(channels, calendars, provider=provider, now=NOW)


def test_a_calendar_without_a_channel_wants_one() -> None:
    assert plan() == PushPlan(want=(Want("primary"),))


def test_each_calendar_wants_its_own() -> None:
    assert plan(channel(), calendars=frozenset({"primary", "b"})) == PushPlan(want=(Want("b"),))


def test_a_working_channel_leaves_nothing_to_do() -> None:
    assert not plan(channel())
    assert not plan(channel(), calendars=None)


def test_a_wanted_channel_is_opened() -> None:
    assert plan(wanted()) == PushPlan(open=("psh_w",))


def test_a_channel_that_failed_is_opened_after_its_pause() -> None:
    assert not plan(wanted(failures=1, retry_at=NOW + HOUR))
    assert plan(wanted(failures=1, retry_at=NOW)) == PushPlan(open=("psh_w",))


def test_a_channel_near_its_end_is_renewed_in_place_at_microsoft() -> None:
    near = channel(expires_at=NOW + 20 * HOUR, opened_at=NOW - 5 * DAY)
    assert plan(near, provider=MICROSOFT) == PushPlan(renew=("psh_1",))
    assert not plan(replace(near, retry_at=NOW + HOUR), provider=MICROSOFT)


def test_a_renewal_that_is_asked_for_is_made_at_once() -> None:
    assert plan(channel(renew_asked=True), provider=MICROSOFT) == PushPlan(renew=("psh_1",))


def test_a_channel_near_its_end_gets_a_successor_at_google() -> None:
    near = channel(expires_at=NOW + 20 * HOUR, opened_at=NOW - 6 * DAY)
    assert plan(near) == PushPlan(want=(Want("primary"),))
    assert plan(near, wanted()) == PushPlan(open=("psh_w",))
    assert not plan(near, wanted(state=ChannelState.OPENING, opened_at=NOW, expires_at=NOW + 7 * DAY))


def test_a_short_lived_channel_is_renewed_at_half_of_its_life() -> None:
    short = channel(opened_at=NOW - HOUR, expires_at=NOW + 2 * HOUR)
    assert not plan(short)
    assert plan(replace(short, opened_at=NOW - 3 * HOUR))


def test_the_old_channel_ends_only_when_the_new_one_works() -> None:
    old = channel(expires_at=NOW + 20 * HOUR, opened_at=NOW - 6 * DAY)
    new = channel("psh_2", opened_at=NOW - timedelta(minutes=1))
    assert not plan(old, replace(new, verified_at=None))
    assert plan(old, new) == PushPlan(end=("psh_1",))


def test_a_channel_that_never_reached_us_is_replaced_after_a_pause() -> None:
    made = plan(channel(verified_at=None))
    assert made.end == ("psh_1",)
    assert made.want == (Want("primary", 1, NOW + pause_after(1)),)
    assert not plan(channel(verified_at=None, opened_at=NOW - timedelta(minutes=1)))


def test_a_channel_that_lapsed_is_replaced_at_once() -> None:
    assert plan(channel(expires_at=NOW)) == PushPlan(want=(Want("primary"),), forget=("psh_1",))


def test_an_opening_without_an_answer_is_given_up_after_two_minutes() -> None:
    asked = channel(state=ChannelState.OPENING, verified_at=None, closable=False, opened_at=NOW - timedelta(minutes=1))
    assert not plan(asked)
    made = plan(replace(asked, opened_at=NOW - timedelta(minutes=3)))
    assert (made.end, [one.failures for one in made.want]) == (("psh_1",), [1])


def test_a_calendar_that_is_no_longer_read_loses_its_channel() -> None:
    assert plan(channel(calendar_id="gone"), channel("psh_2")) == PushPlan(end=("psh_1",))


def test_no_calendars_end_all_channels() -> None:
    assert plan(channel(), wanted(), calendars=frozenset()) == PushPlan(end=("psh_1",), forget=("psh_w",))


def test_an_ending_channel_is_closed_and_one_that_ended_by_itself_forgotten() -> None:
    ending = channel("psh_9", state=ChannelState.ENDING)
    assert plan(channel(), ending) == PushPlan(close=("psh_9",))
    assert not plan(channel(), replace(ending, retry_at=NOW + HOUR))
    assert plan(channel(), replace(ending, expires_at=NOW)) == PushPlan(forget=("psh_9",))


def test_an_ending_channel_of_which_too_little_is_known_waits_for_its_end() -> None:
    assert not plan(channel(), channel("psh_9", state=ChannelState.ENDING, closable=False))


def test_pauses_grow_to_hours() -> None:
    assert [pause_after(number) for number in (1, 2, 3)] == [timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    assert pause_after(1000) == timedelta(hours=6)


instants = st.one_of(st.none(), st.integers(-40, 40).map(lambda hours: NOW + hours * HOUR))
channels = st.builds(
    Channel,
    id=st.uuids().map(str),
    calendar_id=st.sampled_from("abc"),
    state=st.sampled_from(ChannelState),
    opened_at=instants,
    expires_at=instants,
    verified_at=instants,
    failures=st.integers(0, 3),
    retry_at=instants,
    renew_asked=st.booleans(),
    closable=st.booleans(),
)


@given(st.lists(channels, max_size=6), st.sets(st.sampled_from("abcd")), st.sampled_from(Provider))
def test_no_channel_is_named_twice_and_no_working_one_is_lost(
    given_channels: list[Channel], calendars: set[str], provider: Provider
) -> None:
    made = plan_push(given_channels, calendars, provider=provider, now=NOW)
    named = [*made.open, *made.renew, *made.end, *made.close, *made.forget]
    assert len(named) == len(set(named))
    assert len({want.calendar_id for want in made.want}) == len(made.want)
    for calendar in calendars:
        working = [one for one in given_channels if one.calendar_id == calendar and one.works(NOW)]
        assert not working or any(one.id not in (*made.end, *made.forget) for one in working)


@given(st.lists(channels, max_size=6), st.sets(st.sampled_from("abcd")), st.sampled_from(Provider))
def test_every_calendar_has_a_channel_that_lives_or_is_under_way(
    given_channels: list[Channel], calendars: set[str], provider: Provider
) -> None:
    made = plan_push(given_channels, calendars, provider=provider, now=NOW)
    gone = {*made.end, *made.forget}
    for calendar in calendars:
        left = [
            one
            for one in given_channels
            if one.calendar_id == calendar and one.state is not ChannelState.ENDING and one.id not in gone
        ]
        assert left or calendar in [want.calendar_id for want in made.want]


@pytest.mark.parametrize(
    ("given_channels", "state"),
    [
        ([], PushState.PENDING),
        ([wanted()], PushState.PENDING),
        ([wanted(failures=1)], PushState.FAILING),
        ([channel()], PushState.ACTIVE),
        ([channel(verified_at=None, opened_at=NOW)], PushState.PENDING),
        ([channel(verified_at=None)], PushState.FAILING),
        ([channel(expires_at=NOW)], PushState.FAILING),
        ([channel(), wanted(failures=3)], PushState.ACTIVE),
        ([channel(), wanted(calendar_id="b")], PushState.PENDING),
        ([channel(), wanted(calendar_id="b", failures=1)], PushState.FAILING),
        ([channel(state=ChannelState.ENDING)], PushState.PENDING),
    ],
)
def test_the_health_of_push(given_channels: list[Channel], state: PushState) -> None:
    assert push_health(given_channels, now=NOW, is_on=True).state is state
    assert push_health(given_channels, now=NOW, is_on=False).state is PushState.OFF


def test_health_tells_when_the_first_calendar_goes_quiet() -> None:
    both = [channel(), channel("psh_2", expires_at=NOW + DAY, calendar_id="b")]
    assert push_health(both, now=NOW, is_on=True).expires_at == NOW + DAY
