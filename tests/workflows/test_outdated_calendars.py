"""Calendars whose copies may be outdated are synced at once."""

from __future__ import annotations

from dataclasses import replace

from meetbot.temporal.messages import CalendarUserSignal, SyncResult, SyncScope
from tests.workflows.bot_runs import Meeting
from tests.workflows.calendar_runs import FIVE_MINUTES, GONE, NOTHING_PLANNED, QUIET
from tests.workflows.fake_activities import Call, Harness, Script
from tests.workflows.histories import history_of, signals_in
from tests.workflows.virtual_time import VirtualTime


def test_a_bot_has_the_calendars_synced_that_disagree(virtual_time: VirtualTime, meeting: Meeting) -> None:
    step = replace(meeting.closed("cancelled"), to_sync=("cu_1", "cu_nobody"))

    async def whole(harness: Harness) -> tuple[list[str], list[Call]]:
        user, bot = await harness.connect(), await harness.start_bot()
        await harness.end_of(bot)
        await harness.end_of(user)
        return signals_in(await history_of(user)), harness.called("calendar.sync")

    signals, syncs = virtual_time.run(Script(sync=[NOTHING_PLANNED, GONE], reconcile=[step]).answer, whole)

    assert signals == [CalendarUserSignal.SYNC_NOW]
    assert [call.request.scope for call in syncs] == [SyncScope.CALENDAR, SyncScope.CALENDAR]


def test_a_sync_has_other_calendars_synced_that_it_found_outdated(virtual_time: VirtualTime) -> None:
    of_first = iter([QUIET, GONE])

    async def answer(call: Call) -> SyncResult:
        if call.request.calendar_user_id == "cu_2":
            return replace(GONE, to_sync=("cu_1", "cu_nobody"))
        return next(of_first)

    async def whole(harness: Harness) -> tuple[list[str], list[Call]]:
        first = await harness.connect("cu_1")
        second = await harness.connect("cu_2")
        await harness.end_of(second)
        await harness.end_of(first)
        return signals_in(await history_of(first)), harness.called("calendar.sync")

    signals, syncs = virtual_time.run(answer, whole)

    assert signals == [CalendarUserSignal.SYNC_NOW]
    assert syncs[-1].request.calendar_user_id == "cu_1"
    assert syncs[-1].at - syncs[0].at < FIVE_MINUTES
