"""Which reports of a backend wake the workflow of their bot."""

from __future__ import annotations

import pytest

from meetbot.bots.reports import apply_report
from tests.integration.meetings import connected_with_meeting, dispatched, scheduled
from tests.integration.slow_backend import lose_the_answer
from tests.rig import Rig

pytestmark = pytest.mark.stack


def wakes(rig: Rig, status: str, event: str = "job.status_changed", delivery: str = "") -> bool:
    (job,) = rig.sandbox.jobs()
    data = {"id": job["id"], "externalId": job["externalId"], "status": status}
    outcome = apply_report(
        rig.database, {"deliveryId": delivery or f"dlv_{status}", "event": event, "data": data}, rig.clock()
    )
    assert outcome is not None
    return outcome.wakes


def test_only_its_end_wakes_a_bot_that_goes_on_as_expected(rig: Rig) -> None:
    dispatched(rig)
    statuses = ("joining", "in_call", "recording", "finalizing")
    assert [wakes(rig, status) for status in statuses] == [False] * 4
    assert rig.bots()[0].state == "finalizing"
    assert wakes(rig, "completed", "job.finalized")
    assert wakes(rig, "completed", "job.finalized"), "repeated, as after a signal that was lost"


def test_a_report_that_comes_instead_of_the_answer_wakes_it(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    lose_the_answer(rig, key, step)
    assert wakes(rig, "joining")
    assert not wakes(rig, "in_call")
