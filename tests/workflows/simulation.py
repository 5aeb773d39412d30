"""Simulated activities, to run whole days of both workflows.

A small stand-in for database, provider and backend that keeps to the activities' contract: a sync returns the plan only if
its digest differs from the one sent, reconciling decides as the real one does and acknowledges the claims, and a dispatch
re-checks with the provider first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.plan import PlanEntry, Target, plan_digest
from meetbot.temporal.messages import (
    ActivityName,
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
    MeetingRef,
    NextStep,
    StepKind,
    SyncRequest,
    SyncResult,
    SyncScope,
)
from tests.workflows.fake_activities import Call

LEAD = timedelta(seconds=90)
HORIZON = timedelta(hours=48)
Calendar = dict[str, Target]
"""Meetings by key."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A bot that was sent, and when."""

    meeting_key: str
    at: datetime
    target: Target


@dataclass(slots=True)
class Simulation:
    """The provider's calendars, what is stored of them, and the bots.

    A short ``lead`` makes tests on a real clock fast.
    """

    lead: timedelta = LEAD
    calendars: dict[str, Calendar] = field(default_factory=dict)
    stored: dict[str, Calendar] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)
    bots: dict[str, ObservedState] = field(default_factory=dict)
    dispatched: list[Dispatched] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    lost_acknowledgements: int = 0
    due: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)

    def put(self, user: str, key: str, target: Target) -> None:
        self.calendars.setdefault(user, {})[key] = target

    def cancel(self, *keys: str) -> None:
        for calendar in self.calendars.values():
            for key in keys:
                calendar.pop(key, None)

    def move(self, key: str, by: timedelta) -> None:
        for calendar in self.calendars.values():
            if key in calendar:
                target = calendar[key]
                calendar[key] = replace(target, join_at=target.join_at + by, end_at=target.end_at + by)

    def at(self, instant: datetime, happens: Callable[[], None]) -> None:
        """Let something happen at the provider at that instant, noticed or not."""
        self.due.append((instant, happens))

    async def answer(self, call: Call) -> Any:
        self._advance(call.at)
        match call.name:
            case ActivityName.CALENDAR_SYNC:
                return self._sync(call.request, call.at)
            case ActivityName.BOT_RECONCILE:
                return self._reconcile(call.request, call.at)
            case ActivityName.BOT_DISPATCH:
                return self._dispatch(call.request, call.at)
            case ActivityName.BOT_RECALL:
                return self._recall(call.request, call.at)
            case _:
                return self._follow(call.request, call.at)

    def _advance(self, now: datetime) -> None:
        for instant, happens in sorted(self.due, key=lambda one: one[0]):
            if instant <= now:
                happens()
        self.due = [(instant, happens) for instant, happens in self.due if instant > now]

    def _sync(self, request: SyncRequest, now: datetime) -> SyncResult:
        user = request.calendar_user_id
        if user in self.gone:
            self.stored[user] = {}
            return SyncResult(state=CalendarUserStatus.GONE, plan_digest="", plan=())
        if request.scope is SyncScope.CALENDAR:
            self.stored[user] = dict(self.calendars.get(user, {}))
        plan = tuple(
            PlanEntry(key, target.join_at, target.end_at, target.digest, self._is_acknowledged(user, key, target))
            for key, target in sorted(self._claims(user, now).items())
        )
        digest = plan_digest(plan)
        return SyncResult(CalendarUserStatus.ACTIVE, digest, None if digest == request.plan_digest else plan)

    def _is_acknowledged(self, user: str, key: str, target: Target) -> bool:
        return self.acknowledged.get((user, key)) == target.digest

    def _claims(self, user: str, now: datetime) -> Calendar:
        if user in self.gone:
            return {}
        return {
            key: target
            for key, target in self.stored.get(user, {}).items()
            if key not in self.skipped and target.end_at > now and target.join_at <= now + HORIZON
        }

    def _reconcile(self, ref: MeetingRef, now: datetime) -> NextStep:
        key = ref.meeting_key
        copies = {user: self._claims(user, now)[key] for user in sorted(self.stored) if key in self._claims(user, now)}
        target = next(iter(copies.values()), None)
        expected = any(key in calendar and key not in self.skipped for calendar in self.stored.values())
        bot = self.bots.get(key)
        action = next_action(bot, DesiredState(target, expected=expected), now=now, lead=self.lead)
        bot = self._act(key, action, bot, target)
        if self.lost_acknowledgements:
            self.lost_acknowledgements -= 1
        else:
            self.acknowledged.update({(user, key): copy.digest for user, copy in copies.items()})
        return self._next_step(key, action, bot)

    def _act(self, key: str, action: Action, bot: ObservedState | None, target: Target | None) -> ObservedState | None:
        if target is not None and action in (Action.CREATE, Action.RESCHEDULE):
            state = bot.state if bot and action is Action.RESCHEDULE else BotState.SCHEDULED
            bot = ObservedState(state, target.join_at, target.end_at, target.join_at - self.lead, target.meeting_url)
        elif bot is not None and action in (Action.CANCEL, Action.MISS):
            bot = replace(bot, state=BotState.CANCELLED if action is Action.CANCEL else BotState.MISSED)
        if bot is not None:
            self.bots[key] = bot
        return bot

    def _next_step(self, key: str, action: Action, bot: ObservedState | None) -> NextStep:
        if bot is None:
            return NextStep(StepKind.CLOSE)
        if bot.state in TERMINAL_STATES:
            return NextStep(StepKind.CLOSE, f"bot_{key}", 1, bot.state)
        step = StepKind.WAIT if bot.state is BotState.SCHEDULED else StepKind.FOLLOW
        if action in (Action.RELOCATE, Action.WITHDRAW):
            step = StepKind.RECALL
        return NextStep(step, f"bot_{key}", 1, bot.state, bot.dispatch_at, bot.join_at, bot.end_at)

    def _dispatch(self, request: DispatchRequest, now: datetime) -> DispatchResult:
        key = request.meeting_key
        for user in sorted(self.stored):
            if key in self._claims(user, now) and self.stored[user].get(key) != self.calendars[user].get(key):
                self.stored[user] = dict(self.calendars[user])
                return DispatchResult(DispatchOutcome.CHANGED)
        bot = self.bots[key]
        self.bots[key] = replace(bot, state=BotState.DISPATCHED)
        self.dispatched.append(Dispatched(key, now, Target(bot.join_at, bot.end_at, bot.meeting_url)))
        return DispatchResult(DispatchOutcome.DISPATCHED)

    def _recall(self, ref: MeetingRef, now: datetime) -> NextStep:
        key = ref.meeting_key
        self.recalled.append(key)
        claimed = any(key in self._claims(user, now) for user in self.stored)
        state = BotState.SCHEDULED if claimed else BotState.CANCELLED
        self.bots[key] = replace(self.bots[key], state=state)
        return self._reconcile(ref, now)

    def _follow(self, ref: MeetingRef, now: datetime) -> NextStep:
        bot = self.bots[ref.meeting_key]
        if now >= bot.end_at:
            self.bots[ref.meeting_key] = replace(bot, state=BotState.COMPLETED)
        return self._reconcile(ref, now)
