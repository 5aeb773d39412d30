"""A calendar user's workflow in virtual time, with the answers that its sync may give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.plan import Target
from meetbot.temporal.messages import SyncResult
from tests.workflows.fake_activities import Harness
from tests.workflows.simulation import Simulation
from tests.workflows.virtual_time import VirtualTime

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
FIVE_MINUTES = timedelta(minutes=5)
LINK = "https://meet.example/a"
# Virtual time does not stand still while an activity is carried out.
SOON = 30 * SECOND

QUIET = SyncResult(CalendarUserStatus.ACTIVE, "d_none", None)
NOTHING_PLANNED = SyncResult(CalendarUserStatus.ACTIVE, "d_none", ())
GONE = SyncResult(CalendarUserStatus.GONE, "", ())


def lasting_half_an_hour(start: datetime, url: str = LINK) -> Target:
    return Target(start, start + 30 * MINUTE, url)


def connected_until(simulation: Simulation, until: datetime, *users: str) -> None:
    """These users are there until then; the first sync after it ends their workflows."""
    for user in users or ("cu_1",):
        simulation.at(until, lambda user=user: simulation.gone.add(user))  # type: ignore[misc]


def run(
    virtual_time: VirtualTime, simulation: Simulation, scenario: Callable[[Harness], Awaitable[Any]] | None = None
) -> Harness:
    async def whole(harness: Harness) -> Harness:
        await harness.connect()
        if scenario is not None:
            await scenario(harness)
        await harness.end_of(harness.calendar())
        return harness

    return virtual_time.run(simulation.answer, whole)
