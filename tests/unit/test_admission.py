"""How many syncs a process takes on while its bots' work waits."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from activities.admission import QueueDelay, SyncAdmission, next_limit

CONTEXT = cast(Any, None)


def test_while_bots_wait_syncs_are_halved_down_to_one() -> None:
    limit, seen = 24, []
    for _ in range(6):
        limit = next_limit(limit, 2.0, most=24)
        seen.append(limit)
    assert seen == [12, 6, 3, 1, 1, 1]


def test_once_bots_are_quick_again_syncs_grow_one_by_one_up_to_the_most() -> None:
    assert [next_limit(limit, 0.01, most=24) for limit in (1, 23, 24)] == [2, 24, 24]
    assert next_limit(7, 0.3, most=24) == 7


def test_only_the_delays_of_the_last_five_seconds_count() -> None:
    now = [0.0]
    delay = QueueDelay(clock=lambda: now[0])
    delay.note(3.0)
    now[0] = 4.0
    delay.note(0.1)
    assert delay.longest() == 3.0
    now[0] = 6.0
    assert delay.longest() == 0.1
    now[0] = 60.0
    assert delay.longest() == 0.0


def test_a_slot_is_given_when_another_one_is_given_back_and_more_only_when_bots_are_quick() -> None:
    async def scenario() -> None:
        admission = SyncAdmission(QueueDelay(), lambda: False, most=2)
        admission.follow(9.0)
        await admission.reserve_slot(CONTEXT)
        waiting = asyncio.create_task(admission.reserve_slot(CONTEXT))
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(admission.release_slot, CONTEXT)
        await asyncio.wait_for(waiting, 10)
        more = asyncio.create_task(admission.reserve_slot(CONTEXT))
        await asyncio.sleep(0)
        assert not more.done()
        admission.follow(0.0)
        await asyncio.wait_for(more, 10)

    asyncio.run(scenario())


def test_among_a_crowd_of_bots_there_is_one_sync_at_a_time() -> None:
    crowd = [True]

    async def scenario() -> None:
        admission = SyncAdmission(QueueDelay(), lambda: crowd[0], most=5)
        await admission.reserve_slot(CONTEXT)
        waiting = asyncio.create_task(admission.reserve_slot(CONTEXT))
        await asyncio.sleep(0)
        assert not waiting.done()
        crowd[0] = False
        admission.follow(0.0)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
