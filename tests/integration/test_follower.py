"""Asking backends about silent bots, in batches and beside their workflows."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from activities.background.follower import Follower
from meetbot.storage.tables import Bot, Meeting
from tests.integration.meetings import connected_with_meeting, dispatched, report, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack
MINUTE = timedelta(minutes=1)
_JOBS = "/backend/api/v1/jobs"


class Woken:
    """The meetings whose workflows were told."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def __call__(self, tenant_id: str, meeting_key: str) -> None:
        self.keys.append(meeting_key)


def ask(rig: Rig) -> tuple[int, list[str]]:
    """Ask once; return how many bots were silent, and whose workflows were told."""
    woken = Woken()

    async def whole() -> int:
        try:
            return await Follower(rig.services, woken, lambda: False).ask()
        finally:
            await rig.services.close_lanes()

    return asyncio.run(whole()), woken.keys


def end_without_a_report(rig: Rig) -> None:
    (job,) = rig.sandbox.jobs()
    for _ in range(6):
        rig.sandbox.http.post(f"/control/backend/jobs/{job['id']}/advance", json={})


def later(rig: Rig, by: timedelta) -> None:
    rig.clock.offset += by


def test_an_end_that_nobody_reported_is_found_and_its_workflow_told(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    end_without_a_report(rig)
    later(rig, 2 * MINUTE)
    assert ask(rig) == (1, [key])
    assert [bot.state for bot in rig.bots()] == ["completed"]
    assert "job.finalized" in [event_type for event_type, _ in rig.webhook_events()]
    later(rig, 20 * MINUTE)
    assert ask(rig) == (0, []), "it is over"


def test_a_bot_that_goes_on_is_stored_and_nobody_is_told(rig: Rig) -> None:
    dispatched(rig)
    (job,) = rig.sandbox.jobs()
    rig.sandbox.http.post(f"/control/backend/jobs/{job['id']}/advance", json={})
    later(rig, 2 * MINUTE)
    assert ask(rig) == (1, [])
    assert [bot.state for bot in rig.bots()] == ["joining"]


def test_a_bot_is_asked_about_a_minute_after_it_was_heard_of(rig: Rig) -> None:
    dispatched(rig)
    assert ask(rig) == (0, []), "it was sent just now"
    later(rig, 2 * MINUTE)
    assert [ask(rig)[0], ask(rig)[0]] == [1, 0]
    later(rig, 2 * MINUTE)
    report(rig, "job.status_changed", "joining")
    assert ask(rig)[0] == 0


def test_in_the_call_it_is_asked_about_seldom_until_the_planned_end(rig: Rig) -> None:
    dispatched(rig)
    later(rig, 2 * MINUTE)
    report(rig, "job.status_changed", "recording")
    later(rig, 9 * MINUTE)
    assert ask(rig)[0] == 0
    later(rig, 2 * MINUTE)
    assert ask(rig)[0] == 1
    rig.clock.offset += rig.bots()[0].end_at - rig.clock()
    ask(rig)
    later(rig, 2 * MINUTE)
    assert ask(rig)[0] == 1


def test_a_backend_that_does_not_answer_is_asked_again(rig: Rig) -> None:
    dispatched(rig)
    later(rig, 2 * MINUTE)
    rig.sandbox.fault(path=_JOBS, times=1, status=503)
    assert ask(rig) == (1, [])
    assert [bot.state for bot in rig.bots()] == ["dispatched"]
    end_without_a_report(rig)
    later(rig, 2 * MINUTE)
    assert ask(rig)[0] == 1
    assert [bot.state for bot in rig.bots()] == ["completed"]


def test_a_bot_of_which_nothing_is_heard_for_a_day_after_its_end_is_lost(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    rig.sandbox.fault(path=_JOBS, status=503)
    later(rig, timedelta(days=2))
    assert ask(rig) == (1, [key])
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]


def test_one_bot_that_breaks_us_keeps_no_other_from_being_asked_about(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, key, _ = dispatched(rig)
    end_without_a_report(rig)
    later(rig, 2 * MINUTE)
    woken = ask_with_a_fault(rig, monkeypatch)
    assert woken == (1, [])
    monkeypatch.undo()
    later(rig, 2 * MINUTE)
    assert ask(rig) == (1, [key])


def ask_with_a_fault(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr("meetbot.bots.reports.apply_answer", broken)
    return ask(rig)


def test_a_bot_that_nobody_wants_any_more_wakes_a_workflow_that_was_not_told(rig: Rig) -> None:
    _, _, key, _ = dispatched(rig)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(Meeting, (rig.tenant_id, key)).suppressed_at = rig.clock()
    later(rig, 2 * MINUTE)
    assert ask(rig) == (1, [key])


@pytest.mark.parametrize("state", ["scheduled", "dispatching"])
def test_a_bot_that_was_not_sent_is_not_asked_about(rig: Rig, state: str) -> None:
    user, _ = connected_with_meeting(rig)
    _, step = scheduled(rig, user)
    with rig.database.transaction(rig.tenant_id) as session:
        bot = session.get_one(Bot, (rig.tenant_id, step.bot_id))
        bot.dispatch_at -= timedelta(hours=3)
        bot.state = state  # type: ignore[assignment]
    assert ask(rig) == (0, [])
