"""Reconcile a meeting's bot with its claims: observe, decide, act, and say what comes next.

Everything happens in one transaction under the meeting's row lock. It may be repeated at any time; once the bot agrees with
its claims, nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.bots import changes, rooms
from meetbot.bots.claims import claim_that_leads, counting_claims, lead_time, place_of_claim, room_of_link, target_of
from meetbot.domain.bot_lifecycle import Action, DesiredState, ObservedState, SharedBot, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState, is_being_recalled
from meetbot.domain.plan import Target
from meetbot.domain.rooms import SHARED, room_id
from meetbot.storage import bots, settlement
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Bot, Meeting, Tenant
from meetbot.temporal.messages import MeetingRef, NextStep, StepKind

RECHECK_AHEAD = timedelta(seconds=12)
"""How long before the backend is asked the re-check begins at the latest. The re-check may take ten seconds."""


_IN_THE_CALL = frozenset({BotState.IN_CALL, BotState.RECORDING})


@dataclass(frozen=True, slots=True)
class ReconcileContext:
    """What reconciling needs besides the database.

    ``default_lead`` is the lead of tenants that set none.
    """

    now: datetime
    default_lead: timedelta
    backend_name: str


@dataclass(slots=True)
class _Observation:
    """A meeting with its bot, and with the claims that count: the leading one and all.

    ``shared`` is the bot of another meeting that serves this one in place of its own.
    """

    meeting: Meeting
    bot: Bot | None
    leader: ClaimCopy | None
    claims: list[ClaimCopy]
    lead: timedelta
    shared: tuple[Bot, SharedBot] | None


def reconcile(session: Session, ref: MeetingRef, context: ReconcileContext) -> NextStep:
    """Bring the meeting's bot to what its claims ask for; return what is left to be done.

    Only the database is changed. Waiting, and calls to the backend or provider, are left to the caller.
    """
    if session.get(Tenant, ref.tenant_id) is None:
        # Erased: not even the meeting's row, which observing it makes, may come back.
        return NextStep(StepKind.CLOSE)
    seen = _observe(session, ref, context)
    action = _decide(session, seen, context)
    _act(session, action, seen, context)
    if action is Action.MISS:
        # The recording is announced as missed at once. The backend may have made the bot nevertheless, and is told next.
        action = _decide(session, seen, context)
    targets = {copy.calendar_user_id: target_of(copy).digest for copy in seen.claims}
    bots.acknowledge(session, ref.tenant_id, ref.meeting_key, targets)
    return replace(
        _step_of(seen, action),
        to_sync=_unsettle(session, seen, context.now),
        to_wake=_wake(session, seen, context.now),
    )


def _wake(session: Session, seen: _Observation, now: datetime) -> tuple[str, ...]:
    """Return the meetings that shared the bot and need one of their own, now that it has ended."""
    bot = seen.bot
    has_ended = bot is not None and bot.state in TERMINAL_STATES and bot.outcome != SHARED
    return rooms.wake_sharers(session, bot, now) if bot is not None and has_ended else ()


def _unsettle(session: Session, seen: _Observation, now: datetime) -> tuple[str, ...]:
    """Mark claims whose copies disagree with the leading one, or agree with it again.

    Returns their calendar users, whose calendars are to be synced at once.
    """
    leader = seen.leader
    if leader is None:
        return ()
    place = place_of_claim(leader)
    disagreeing = [copy.calendar_user_id for copy in seen.claims if place_of_claim(copy) != place]
    return tuple(sorted(settlement.unsettle(session, leader, seen.meeting.tenant_id, disagreeing, now=now)))


def _observe(session: Session, ref: MeetingRef, context: ReconcileContext) -> _Observation:
    meeting = bots.lock_meeting(session, ref.tenant_id, ref.meeting_key)
    claims = counting_claims(session, ref, context.now)
    bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
    leader = claim_that_leads(claims, meeting, bot)
    if leader is not None:
        meeting.leader_calendar_user_id = leader.calendar_user_id
    return _Observation(
        meeting=meeting,
        bot=bot,
        leader=leader,
        claims=claims,
        lead=lead_time(session, ref.tenant_id, context.default_lead),
        shared=rooms.shared_bot_of(session, bot),
    )


def _decide(session: Session, seen: _Observation, context: ReconcileContext) -> Action:
    observed = _observed_state(session, seen.bot) if seen.bot is not None else None
    if observed is not None and seen.shared is not None:
        observed = replace(observed, shared=seen.shared[1])
    return next_action(observed, _desired_state(session, seen), now=context.now, lead=seen.lead)


def _observed_state(session: Session, bot: Bot) -> ObservedState:
    dispatch = bots.dispatch_of(session, bot)
    unanswered = dispatch is not None and dispatch.state is DispatchState.INTENDED
    return ObservedState(
        state=bot.state,
        join_at=bot.join_at,
        end_at=bot.end_at,
        dispatch_at=bot.dispatch_at,
        meeting_url=bot.meeting_url,
        asked_at=dispatch.requested_at if dispatch is not None and unanswered else None,
        being_recalled=dispatch is not None and is_being_recalled(dispatch.state, dispatch.recalled_at),
    )


def _desired_state(session: Session, seen: _Observation) -> DesiredState:
    event = bots.event_of(session, seen.bot) if seen.bot is not None else None
    return DesiredState(
        target=_desired_target(seen),
        suppressed=seen.meeting.suppressed_at is not None,
        expected=event is not None and event.is_expected,
        over=event is not None and event.is_over,
        by_rules_only=event is not None and event.is_left_out_by_rules,
        in_other_room=_is_in_other_room(seen),
    )


def _is_in_other_room(seen: _Observation) -> bool:
    leader, bot = seen.leader, seen.bot
    if leader is None or bot is None:
        return False
    return room_id(bot.tenant_id, leader.meeting_platform, leader.meeting_id) != bot.room


def _desired_target(seen: _Observation) -> Target | None:
    if seen.leader is None:
        return None
    target, bot = target_of(seen.leader), seen.bot
    # Another way of writing the link takes no bot out of the room in which it is.
    if (
        bot is not None
        and bot.state in _IN_THE_CALL
        and place_of_claim(seen.leader).room == room_of_link(bot.meeting_url)
    ):
        return replace(target, meeting_url=bot.meeting_url)
    return target


def _act(session: Session, action: Action, seen: _Observation, context: ReconcileContext) -> None:
    bot, leader, now = seen.bot, seen.leader, context.now
    if seen.shared is not None and bot is not None and action in (Action.CREATE, Action.LEAVE):
        _leave(session, bot, seen.shared[1], seen.meeting, now)
    if action is Action.CREATE and leader is not None:
        seen.shared = None
        seen.bot = changes.create_bot(
            session, seen.meeting, leader, lead=seen.lead, backend=context.backend_name, now=now
        )
    elif bot is None:
        return
    elif action is Action.RESCHEDULE and leader is not None:
        changes.reschedule_bot(session, bot, leader, lead=seen.lead, now=now)
    elif action is Action.CANCEL:
        changes.cancel_bot(session, bot, seen.meeting, now)
    elif action is Action.MISS:
        changes.miss_bot(session, bot, now)
    elif action in (Action.KEEP, Action.SHARE) and leader is not None:
        # Another copy may lead by now, and with it another event says whether the bot is still expected.
        bot.end_at, bot.event_id = leader.end_at, leader.event_id


def _leave(session: Session, bot: Bot, shared: SharedBot, meeting: Meeting, now: datetime) -> None:
    # One that has left the room by itself was this meeting's too, for as long as it was there.
    if shared.is_in_room:
        changes.leave_shared_bot(session, bot, meeting, now)


_STEPS = {
    Action.NOTHING: StepKind.CLOSE,
    Action.LEAVE: StepKind.CLOSE,
    Action.CANCEL: StepKind.CLOSE,
    Action.MISS: StepKind.CLOSE,
    Action.CREATE: StepKind.WAIT,
    Action.RESCHEDULE: StepKind.WAIT,
    Action.RELOCATE: StepKind.RECALL,
    Action.WITHDRAW: StepKind.RECALL,
}


def _step_of(seen: _Observation, action: Action) -> NextStep:
    if action is not Action.SHARE or seen.shared is None or seen.bot is None:
        return _next_step(seen.bot, action)
    # Asked about once a minute: nothing tells when it begins to leave.
    shared, own = seen.shared[0], seen.bot
    return NextStep(
        StepKind.FOLLOW,
        bot_id=shared.id,
        generation=shared.generation,
        state=SHARED,
        join_at=own.join_at,
        end_at=own.end_at,
    )


def _next_step(bot: Bot | None, action: Action) -> NextStep:
    if bot is None:
        return NextStep(StepKind.CLOSE)
    if bot.state in TERMINAL_STATES and action is not Action.WITHDRAW:
        return NextStep(StepKind.CLOSE, bot_id=bot.id, state=bot.state)
    is_waiting = bot.state in (BotState.SCHEDULED, BotState.DISPATCHING)
    return NextStep(
        kind=_STEPS.get(action, StepKind.WAIT if is_waiting else StepKind.FOLLOW),
        bot_id=bot.id,
        generation=bot.generation,
        state=bot.state,
        recheck_at=bot.dispatch_at - RECHECK_AHEAD,
        join_at=bot.join_at,
        end_at=bot.end_at,
        dispatch_at=bot.dispatch_at,
    )
