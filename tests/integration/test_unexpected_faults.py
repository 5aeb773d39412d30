"""A fault of our own code behind a request that was sent: it counts, and costs no bot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import BackendUnavailable
from meetbot.temporal.messages import DispatchOutcome, StepKind
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("a fault of ours")


def test_an_answer_that_breaks_us_counts_as_an_attempt(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=5, duration_minutes=10)
    key, step = scheduled(rig, user)
    with monkeypatch.context() as patched:
        patched.setattr("meetbot.backends.meetbot.job_from", broken)
        with pytest.raises(BackendUnavailable, match="backend_adapter_failed"):
            dispatch(rig, key, step)
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("dispatching", "backend_adapter_failed")]
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1
    assert [bot.failure_code for bot in rig.bots()] == [None]


def test_an_acceptance_that_cannot_be_recorded_counts_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    with monkeypatch.context() as patched:
        patched.setattr("meetbot.bots.dispatches.changes.accept_bot", broken)
        with pytest.raises(BackendUnavailable, match="internal_error"):
            dispatch(rig, key, step)
    assert [bot.failure_code for bot in rig.bots()] == ["internal_error"]
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_bot_whose_progress_always_breaks_us_is_lost_at_last(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, key, _ = dispatched(rig, starts_in_minutes=5, duration_minutes=10)
    monkeypatch.setattr("meetbot.backends.meetbot.job_from", broken)
    with pytest.raises(BackendUnavailable):
        rig.bot_activities.follow(rig.ref(key))
    rig.clock.offset = timedelta(days=2)
    rig.bot_activities.follow(rig.ref(key))
    assert [(bot.state, bot.failure_code) for bot in rig.bots()] == [("failed", "backend_lost")]


def test_a_recall_that_breaks_us_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user, event, key, _ = dispatched(rig)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.bot_activities.reconcile(rig.ref(key))
    with monkeypatch.context() as patched:
        patched.setattr("meetbot.backends.meetbot._raise_for_status", broken)
        with pytest.raises(BackendUnavailable, match="backend_adapter_failed"):
            rig.recall_activity.recall(rig.ref(key))
    assert rig.recall_activity.recall(rig.ref(key)).kind is StepKind.CLOSE


@pytest.mark.parametrize("method", ["get_event", "normalise"])
def test_a_re_check_that_breaks_us_goes_by_the_last_sync(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    user, _ = connected_with_meeting(rig)
    key, step = scheduled(rig, user)
    monkeypatch.setattr(rig.services.providers[Provider.GOOGLE], method, broken)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.DISPATCHED
    assert len(rig.sandbox.jobs()) == 1


def test_a_sync_that_breaks_us_shows_on_the_calendar_user(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sync(user)
    monkeypatch.setattr(rig.services.providers[Provider.GOOGLE], "list_events", broken)
    with pytest.raises(ZeroDivisionError):
        rig.sync(user)
    assert (rig.calendar_user(user).state, rig.calendar_user(user).error_code) == ("active", "internal_error")
