"""Bots as they are observed, meetings as they are wanted, and what is decided of the two."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, next_action
from meetbot.domain.bot_state import BotState
from meetbot.domain.plan import Target

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEAD = timedelta(seconds=90)
LINK, OTHER_LINK = "https://meet.example/a", "https://meet.example/b"

COMING = Target(NOW + 60 * MINUTE, NOW + 90 * MINUTE, LINK)
RUNNING = Target(NOW - 10 * MINUTE, NOW + 20 * MINUTE, LINK)
ENDED = Target(NOW - 30 * MINUTE, NOW, LINK)

IN_FLIGHT = [BotState.DISPATCHING, BotState.DISPATCHED]
IN_THE_MEETING = [BotState.JOINING, BotState.IN_CALL, BotState.RECORDING]
HAD_ITS_BOT = [BotState.COMPLETED, BotState.FAILED]


def bot(state: BotState, target: Target) -> ObservedState:
    return ObservedState(state, target.join_at, target.end_at, target.join_at - LEAD, target.meeting_url)


def moved(target: Target, by: timedelta) -> Target:
    return replace(target, join_at=target.join_at + by, end_at=target.end_at + by)


def action(
    observed: ObservedState | None,
    target: Target | None,
    *,
    suppressed: bool = False,
    expected: bool = True,
    now: datetime = NOW,
) -> Action:
    return next_action(observed, DesiredState(target, suppressed, expected), now=now, lead=LEAD)
