"""Which calendars are read, and what is known of them from sync to sync."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.account_calendar import (
    MAX_CALENDARS,
    PRIMARY,
    AccessRole,
    AccountCalendar,
    CalendarsMode,
    chosen_ids,
)
from meetbot.domain.calendar_health import (
    GONE,
    MOST_KEPT,
    KnownCalendar,
    Reading,
    after,
    changes_of,
    deselected,
    given_up_ids,
    selected_ids,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=5)
IDS = st.sampled_from([PRIMARY, "a", "b", "c"])


def calendar(name: str, *, owned: bool = True, hidden: bool = False) -> AccountCalendar:
    return AccountCalendar(name, name.upper(), owned, AccessRole.OWNER if owned else AccessRole.READER, hidden)


def reading(
    *listed: str, complete: str = "", gone: str = "", refused: str = "", down: str = "", is_list_known: bool = True
) -> Reading:
    faults = dict.fromkeys(refused.split(), "calendar_refused") | dict.fromkeys(down.split(), "provider_unavailable")
    return Reading(
        listed=tuple(calendar(name) for name in listed) if is_list_known else None,
        complete=frozenset(complete.split()),
        gone=frozenset(gone.split()),
        refused=frozenset(refused.split()),
        faults=faults,
    )


def synced(known: list[KnownCalendar], found: Reading, *, at: datetime = NOW) -> dict[str, KnownCalendar]:
    return {one.id: one for one in after(known, changes_of(known, found, synced_before=BEFORE, began_at=at))}


def test_the_accounts_own_calendar_comes_first_and_the_number_is_bounded() -> None:
    many = [calendar(f"c{number:03}") for number in range(60)]
    ids = chosen_ids(many, CalendarsMode.OWNED, ())
    assert (ids[0], len(ids)) == (PRIMARY, MAX_CALENDARS)
    assert len(chosen_ids(many, CalendarsMode.SELECTED, {one.id for one in many})) == MAX_CALENDARS


def test_a_hidden_calendar_is_read_only_if_it_is_named() -> None:
    hidden = [calendar(PRIMARY), calendar("a", hidden=True)]
    assert chosen_ids(hidden, CalendarsMode.OWNED, ()) == [PRIMARY]
    assert chosen_ids(hidden, CalendarsMode.SELECTED, {"a"}) == ["a"]


@given(st.lists(IDS, unique=True), st.sets(IDS), st.sampled_from(CalendarsMode), st.sets(IDS))
def test_somebody_elses_calendar_is_read_only_if_it_is_named(
    listed: list[str], theirs: set[str], mode: CalendarsMode, named: set[str]
) -> None:
    calendars = [calendar(name, owned=name == PRIMARY or name not in theirs) for name in listed]
    chosen = set(chosen_ids(calendars, mode, named))
    if mode is CalendarsMode.SELECTED:
        assert chosen <= named
    else:
        assert not chosen & (theirs - {PRIMARY})
        assert PRIMARY in chosen


def test_a_sync_like_the_one_before_writes_nothing() -> None:
    found = reading(PRIMARY, "a", complete=f"{PRIMARY} a")
    known = list(synced([], found).values())
    assert not changes_of(known, found, synced_before=NOW, began_at=NOW + timedelta(minutes=5))


def test_when_a_calendar_was_last_read_is_told_by_the_syncs_since() -> None:
    known = synced([], reading(PRIMARY, complete=PRIMARY))[PRIMARY]
    assert known.synced_at(NOW + timedelta(hours=1)) == NOW + timedelta(hours=1)
    failed = synced([known], reading(PRIMARY, down=PRIMARY))[PRIMARY]
    assert failed.synced_at(NOW + timedelta(hours=9)) == NOW


def test_the_grace_counts_from_the_first_refusal_through_outages() -> None:
    first = synced([], reading("a", refused="a"))["a"]
    down = synced([first], reading("a", down="a"), at=NOW + timedelta(hours=1))["a"]
    again = synced([down], reading("a", refused="a"), at=NOW + timedelta(hours=2))["a"]
    assert again.refused_since == NOW
    assert not again.is_given_up(grace=timedelta(hours=3), now=NOW + timedelta(hours=2))
    assert again.is_given_up(grace=timedelta(hours=2), now=NOW + timedelta(hours=2))
    healed = synced([again], reading("a", complete="a"))["a"]
    assert (healed.refused_since, healed.error_code) == (None, None)


def test_a_calendar_that_nobody_selects_is_not_given_up() -> None:
    refused = KnownCalendar(calendar("a", owned=False), refused_since=NOW - timedelta(days=3))
    assert given_up_ids([refused], CalendarsMode.OWNED, grace=timedelta(), now=NOW) == set()


def test_a_calendar_that_is_gone_is_kept_and_no_longer_selected() -> None:
    known = synced([KnownCalendar(calendar("a"), is_read=True)], reading(PRIMARY, complete=PRIMARY, gone="a"))
    assert (known["a"].error_code, known["a"].gone_at) == (GONE, NOW)
    assert selected_ids(known.values(), CalendarsMode.OWNED) == [PRIMARY]
    later = synced(list(known.values()), reading(PRIMARY, complete=PRIMARY), at=NOW + timedelta(days=1))
    assert later["a"].gone_at == NOW


def test_a_calendar_that_was_only_listed_is_forgotten_when_it_leaves_the_list() -> None:
    known = list(synced([], reading(PRIMARY, "a", complete=PRIMARY)).values())
    assert set(synced(known, reading(PRIMARY, complete=PRIMARY))) == {PRIMARY}


def test_without_the_list_nothing_is_forgotten() -> None:
    known = list(synced([], reading(PRIMARY, "a", complete=f"{PRIMARY} a")).values())
    assert set(synced(known, reading(complete=PRIMARY, refused="a", is_list_known=False))) == {PRIMARY, "a"}


def test_of_very_many_calendars_those_that_are_read_are_kept() -> None:
    listed = [f"c{number:04}" for number in range(2 * MOST_KEPT)]
    known = synced([], reading(*listed, complete=listed[-1]))
    assert len(known) == MOST_KEPT
    assert known[listed[-1]].is_read


@given(st.lists(IDS, unique=True), st.sampled_from([CalendarsMode.PRIMARY, CalendarsMode.OWNED]))
def test_once_deselected_a_calendar_is_not_deselected_again(names: list[str], mode: CalendarsMode) -> None:
    known = [KnownCalendar(calendar(name, owned=name != "c"), is_read=True) for name in names]
    changes = deselected(known, mode, synced_before=BEFORE)
    left = after(known, changes)
    assert not deselected(left, mode, synced_before=BEFORE)
    assert {one.id for one in left if one.is_read} == set(selected_ids(known, mode)) & set(names)
