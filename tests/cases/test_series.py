"""Cases 9 and 15 to 22, 27, 54, 71: what happens to a series, at either provider.

The numbers are those of docs/calendar-cases.md.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.storage.tables import CalendarEvent
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack

ADA = "ada@acme.test"


def connected(rig: Rig, provider: Provider) -> str:
    return rig.connect(rig.sandbox.account(ADA, provider), provider)


def series(rig: Rig, rule: str = "RRULE:FREQ=DAILY;COUNT=4", **fields: Any) -> dict[str, Any]:
    return rig.sandbox.event(ADA, recurrence=[rule], **fields)


def live(rig: Rig, user: str) -> list[CalendarEvent]:
    rig.sync(user)
    return [event for event in rig.events(user) if not event.deleted]


def keys(events: list[CalendarEvent]) -> list[str]:
    return [event.meeting_key for event in events]


def moves(before: list[CalendarEvent], after: list[CalendarEvent]) -> list[timedelta]:
    """By how much each start moved."""
    starts = [(one.start_at, other.start_at) for one, other in zip(before, after, strict=True)]
    return [later - earlier for earlier, later in starts if earlier is not None and later is not None]


def change_occurrence(rig: Rig, meeting: dict[str, Any], occurrence: CalendarEvent, **fields: Any) -> None:
    answer = rig.sandbox.http.patch(
        f"/control/events/{meeting['key']}", json=fields, params={"original_start": str(occurrence.original_start)}
    )
    answer.raise_for_status()


def delete_occurrence(rig: Rig, meeting: dict[str, Any], occurrence: CalendarEvent) -> None:
    answer = rig.sandbox.http.delete(
        f"/control/events/{meeting['key']}", params={"original_start": str(occurrence.original_start)}
    )
    answer.raise_for_status()


@BOTH
def test_case_09_an_endless_series_is_read_as_far_as_the_window_and_planned_as_far_as_the_horizon(
    rig: Rig, provider: Provider
) -> None:
    user = connected(rig, provider)
    series(rig, "RRULE:FREQ=DAILY")
    plan = rig.planned(user)
    assert 0 < len(plan) <= 4
    assert len(rig.events(user)) <= rig.settings.sync_window_days + 2


@BOTH
def test_case_15_a_deleted_series_cancels_all_that_is_still_to_come(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    assert rig.planned(user) != ()
    rig.sandbox.cancel(meeting)
    assert live(rig, user) == []
    assert rig.planned(user) == ()


@BOTH
@pytest.mark.parametrize("place", [0, 1, 3])
def test_cases_16_and_71_one_deleted_occurrence_takes_no_other_with_it(
    rig: Rig, provider: Provider, place: int
) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    before = live(rig, user)
    delete_occurrence(rig, meeting, before[place])
    assert keys(live(rig, user)) == [key for key in keys(before) if key != before[place].meeting_key]


@BOTH
def test_case_17_deleting_this_and_following_keeps_what_comes_before(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig, "RRULE:FREQ=DAILY;COUNT=4")
    before = live(rig, user)
    assert before[2].start_at is not None
    until = (before[2].start_at - timedelta(seconds=1)).astimezone(UTC)
    rig.sandbox.change(meeting, recurrence=[f"RRULE:FREQ=DAILY;UNTIL={until:%Y%m%dT%H%M%SZ}"])
    assert keys(live(rig, user)) == keys(before)[:2]


@BOTH
def test_case_18_editing_this_and_following_doubles_nothing(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    before = live(rig, user)
    body = {"original_start": str(before[2].original_start), "shift_minutes": 60}
    rig.sandbox.post(f"/control/events/{meeting['key']}/split", body)
    after = live(rig, user)
    assert keys(after)[:2] == keys(before)[:2]
    assert after[2].start_at is not None
    assert before[2].start_at is not None
    assert after[2].start_at - before[2].start_at == timedelta(hours=1)
    starts = [event.start_at for event in after]
    assert len(starts) == len(set(starts))
    assert not set(keys(after)) & set(keys(before)[2:])


@BOTH
def test_case_19_a_moved_occurrence_is_the_same_meeting_at_another_time(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    before = live(rig, user)
    change_occurrence(rig, meeting, before[1], shift_minutes=120)
    after = live(rig, user)
    assert keys(after) == keys(before)
    assert after[1].original_start == before[1].original_start
    assert moves(before, after)[1] == timedelta(hours=2)


@BOTH
def test_case_20_an_occurrence_moved_onto_anothers_time_stays_another_meeting(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    before = live(rig, user)
    change_occurrence(rig, meeting, before[0], start=str(before[1].start_at))
    after = live(rig, user)
    assert sorted(keys(after)) == sorted(keys(before))
    assert after[0].start_at == after[1].start_at


@BOTH
def test_case_21_a_series_at_another_time_has_as_many_meetings_as_before(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    meeting = series(rig)
    before, planned = live(rig, user), rig.planned(user)
    rig.sandbox.change(meeting, shift_minutes=45)
    after = live(rig, user)
    assert len(after) == len(before)
    assert len(rig.planned(user)) == len(planned)
    assert set(moves(before, after)) == {timedelta(minutes=45)}


@BOTH
def test_case_22_each_day_of_a_daily_series_is_a_meeting_of_its_own(rig: Rig, provider: Provider) -> None:
    user = connected(rig, provider)
    series(rig)
    found = live(rig, user)
    assert len(found) == len(set(keys(found))) == 4


@pytest.mark.parametrize("mode", ["per_occurrence", "per_series", "null"])
def test_case_54_whatever_graph_calls_the_uid_each_occurrence_is_one_meeting(rig: Rig, mode: str) -> None:
    rig.sandbox.post("/control/behaviour", {"graph_ical_uid": mode})
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    rig.sandbox.event(grace, recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    found = live(rig, user)
    assert len(found) == len(set(keys(found))) == 4
    assert keys(live(rig, user)) == keys(found)


def test_an_all_day_series_is_one_set_of_meetings_at_both_providers(rig: Rig) -> None:
    ada, grace = rig.sandbox.account(ADA), rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    here, there = rig.connect(ada), rig.connect(grace, Provider.MICROSOFT)
    for zone in ("Europe/Berlin", "Asia/Tokyo", "America/New_York"):
        rig.sandbox.event(
            ada, attendees=[grace], all_day=True, time_zone=zone, recurrence=["RRULE:FREQ=DAILY;COUNT=3"], title=zone
        )
    found = live(rig, here)
    assert len(found) == 9
    assert {(event.meeting_key, event.original_start) for event in found} == {
        (event.meeting_key, event.original_start) for event in live(rig, there)
    }


def test_a_day_of_an_all_day_series_given_a_time_stays_one_meeting_at_both_providers(rig: Rig) -> None:
    ada, grace = rig.sandbox.account(ADA), rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    here, there = rig.connect(ada), rig.connect(grace, Provider.MICROSOFT)
    meeting = rig.sandbox.event(
        ada,
        attendees=[grace],
        all_day=True,
        time_zone="Europe/Berlin",
        starts_in_minutes=24 * 60,
        recurrence=["RRULE:FREQ=DAILY;COUNT=3"],
    )
    listed = rig.sandbox.http.get(f"/control/accounts/{ada}/events").json()
    original = listed[1]["original_start"]
    answer = rig.sandbox.http.patch(
        f"/control/events/{meeting['key']}",
        json={"all_day": False, "shift_minutes": 600, "duration_minutes": 30},
        params={"original_start": original},
    )
    answer.raise_for_status()
    mine, hers = live(rig, here), live(rig, there)
    assert [event.all_day for event in mine] == [event.all_day for event in hers] == [True, False, True]
    assert keys(mine) == keys(hers)
