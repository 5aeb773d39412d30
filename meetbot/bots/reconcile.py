"""Taking stock of a meeting: read its claims, decide about its bot, write that down, and say what comes next.

Everything happens in one transaction under the meeting's row lock. It may be repeated at any time and settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.backends.base import BotRequest
from meetbot.domain.bot_lifecycle import Action, Standing, Wish, next_action
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.ids import new_id
from meetbot.domain.plan import Candidate, Target, leading_copy
from meetbot.resources.bot import bot_document
from meetbot.storage import bots, outbox
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Bot, Dispatch, Meeting, Tenant
from meetbot.temporal.messages import BotOrder, BotStep, MeetingRef

# The re-check may take ten seconds and must be over when the backend is to be asked.
ARMING = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class StockTaking:
    """What the decision runs on besides the database."""

    now: datetime
    default_lead: timedelta
    backend_name: str


def take_stock(session: Session, ref: MeetingRef, taking: StockTaking) -> BotOrder:
    """Bring the meeting's bot to what its claims come to, as far as the database goes; the answer says what is left."""
    meeting = bots.lock_meeting(session, ref.tenant_id, ref.meeting_key)
    tenant = session.get_one(Tenant, ref.tenant_id)
    copies = standing_copies(session, ref, tenant, taking.now)
    leader = leading_claim(copies)
    bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
    lead = _lead(tenant, taking)
    event = bots.standing_event(session, bot) if bot is not None else None
    wish = Wish(
        target=target_of(leader) if leader else None,
        held=meeting.held_at is not None,
        expected=event is not None and event.is_expected,
        over=event is not None and event.is_over,
        by_rules_only=event is not None and event.is_left_out_by_rules,
    )
    dispatch = bots.dispatch_of(session, bot) if bot is not None else None
    action = next_action(_standing(bot, dispatch), wish, now=taking.now, lead=lead)
    bot = _carry_out(session, action, meeting, bot, leader, taking, lead)
    if action is Action.MISS:
        # That is told at once; what its backend may have all the same comes after.
        action = next_action(_standing(bot, dispatch), wish, now=taking.now, lead=lead)
    taken = {copy.calendar_user_id: target_of(copy).digest for copy in copies}
    bots.acknowledge(session, ref.tenant_id, ref.meeting_key, taken)
    return _order(bot, action)


def standing_copies(session: Session, ref: MeetingRef, tenant: Tenant, now: datetime) -> list[ClaimCopy]:
    """The claims that count: those of users we can still speak for, or could until a short while ago, unless in doubt."""
    grace = timedelta(hours=tenant.revoked_grace_hours)
    return [
        copy
        for copy in bots.claim_copies(session, ref.tenant_id, ref.meeting_key)
        if not copy.is_doubted
        and (
            copy.user_state in ("connecting", "active")
            or (copy.user_state == "needs_reconnect" and now < copy.state_changed_at + grace)
        )
    ]


def leading_claim(copies: Sequence[ClaimCopy]) -> ClaimCopy | None:
    if not copies:
        return None
    by_event = {copy.event_id: copy for copy in copies}
    chosen = leading_copy(
        Candidate(
            event_id=copy.event_id,
            meeting_key="",
            target=target_of(copy),
            updated=copy.provider_updated,
            is_organizer=copy.is_organizer,
        )
        for copy in copies
    )
    return by_event[chosen.event_id]


def target_of(copy: ClaimCopy) -> Target:
    return Target(copy.start_at, copy.end_at, copy.meeting_url)


def _lead(tenant: Tenant, taking: StockTaking) -> timedelta:
    own = tenant.join_lead_seconds
    return taking.default_lead if own is None else timedelta(seconds=own)


def _standing(bot: Bot | None, dispatch: Dispatch | None) -> Standing | None:
    if bot is None:
        return None
    unanswered = dispatch is not None and dispatch.state == "intended"
    return Standing(
        state=BotState(bot.state),
        join_at=bot.join_at,
        end_at=bot.end_at,
        dispatch_at=bot.dispatch_at,
        meeting_url=bot.meeting_url,
        asked_at=dispatch.requested_at if dispatch is not None and unanswered else None,
        called_back=is_being_called_back(dispatch),
    )


def may_be_out(dispatch: Dispatch | None) -> bool:
    """Whether the backend has its bot, or may have it, and was not told to take it back for good."""
    return dispatch is not None and dispatch.state in ("intended", "accepted")


def is_being_called_back(dispatch: Dispatch | None) -> bool:
    """Then whoever calls it back says what becomes of it, cancelled or sent again, and nobody else. It is finished whatever
    happens meanwhile: the backend may have heard of it already."""
    return dispatch is not None and may_be_out(dispatch) and dispatch.left_at is not None


def _carry_out(
    session: Session,
    action: Action,
    meeting: Meeting,
    bot: Bot | None,
    leader: ClaimCopy | None,
    taking: StockTaking,
    lead: timedelta,
) -> Bot | None:
    if action is Action.CREATE and leader is not None:
        return _create(session, meeting, leader, taking, lead)
    if bot is None:
        return None
    if action is Action.RESCHEDULE and leader is not None:
        _reschedule(session, bot, leader, taking, lead)
    elif action is Action.CANCEL:
        end_bot(session, bot, BotState.CANCELLED, taking.now, outcome=how_cancelled(meeting))
    elif action is Action.MISS:
        end_bot(session, bot, BotState.MISSED, taking.now)
    elif action is Action.KEEP and leader is not None:
        # Whose copy leads may change, and with it which event says whether the bot is still expected.
        bot.end_at, bot.event_id = leader.end_at, leader.event_id
    return bot


def _create(session: Session, meeting: Meeting, leader: ClaimCopy, taking: StockTaking, lead: timedelta) -> Bot:
    meeting.generation += 1
    bot = Bot(
        tenant_id=meeting.tenant_id,
        id=new_id("bot"),
        meeting_key=meeting.meeting_key,
        generation=meeting.generation,
        state=BotState.SCHEDULED,
        join_at=leader.start_at,
        end_at=leader.end_at,
        dispatch_at=leader.start_at - lead,
        meeting_url=leader.meeting_url,
        target_digest=target_of(leader).digest,
        event_id=leader.event_id,
        backend=taking.backend_name,
    )
    session.add(bot)
    session.flush()
    _tell(session, "bot.scheduled", bot)
    return bot


def _reschedule(session: Session, bot: Bot, leader: ClaimCopy, taking: StockTaking, lead: timedelta) -> None:
    bot.join_at, bot.end_at = leader.start_at, leader.end_at
    bot.dispatch_at = leader.start_at - lead
    bot.meeting_url, bot.target_digest = leader.meeting_url, target_of(leader).digest
    bot.event_id = leader.event_id
    bots.touch(bot, taking.now)
    _tell(session, "bot.rescheduled", bot)


def end_bot(session: Session, bot: Bot, state: BotState, now: datetime, *, outcome: str | None = None) -> None:
    """Close a bot that is not in a meeting, and tell."""
    bot.state = state
    bot.outcome = outcome or state
    bots.touch(bot, now)
    event_type = {BotState.CANCELLED: "bot.cancelled", BotState.FAILED: "bot.failed"}.get(state, "recording.missed")
    _tell(session, event_type, bot)


def how_cancelled(meeting: Meeting) -> str:
    """Whether a person ended the bot, or the calendar did."""
    return "cancelled_by_hand" if meeting.held_at is not None else str(BotState.CANCELLED)


def backend_request(session: Session, bot: Bot) -> BotRequest:
    """What the backend is asked for; the external id is the idempotency key of this one dispatch."""
    tenant = session.get_one(Tenant, bot.tenant_id)
    return BotRequest(
        external_id=f"{bot.id}.{bot.generation}",
        meeting_url=bot.meeting_url,
        join_at=bot.dispatch_at,
        display_name=tenant.bot_display_name,
        metadata={"bot_id": bot.id},
    )


def note_taken(session: Session, bot: Bot, dispatch: Dispatch, backend_bot_id: str, *, at: datetime) -> None:
    """The backend has a bot that was on its way to it. Its answer says so or its report, whichever is first; we tell once."""
    dispatch.state, dispatch.accepted_at = "accepted", at
    dispatch.backend_bot_id = bot.backend_bot_id = backend_bot_id
    # Whatever kept it before, it is on its way now.
    bot.dispatched_at, bot.failure_code, bot.outcome = at, None, None
    bot.state = BotState.DISPATCHED
    bots.touch(bot, at)
    _tell(session, "bot.dispatched", bot)


def renew(session: Session, bot: Bot, now: datetime) -> None:
    """Make a bot that was called back ready to be sent again: same bot, next generation."""
    meeting = bots.lock_meeting(session, bot.tenant_id, bot.meeting_key)
    meeting.generation += 1
    bot.generation = meeting.generation
    bot.state = BotState.SCHEDULED
    bot.backend_bot_id, bot.dispatched_at, bot.recorded_seconds = None, None, None
    bots.touch(bot, now)


def _tell(session: Session, event_type: str, bot: Bot) -> None:
    session.flush()
    claims = bots.claimants(session, bot.tenant_id, bot.meeting_key)
    outbox.emit(session, bot.tenant_id, event_type, bot_document(bot, claims) | bots.audience(session, bot))


_STEPS = {
    Action.NOTHING: BotStep.CLOSE,
    Action.CANCEL: BotStep.CLOSE,
    Action.MISS: BotStep.CLOSE,
    Action.CREATE: BotStep.WAIT,
    Action.RESCHEDULE: BotStep.WAIT,
    Action.RELOCATE: BotStep.LEAVE,
    Action.WITHDRAW: BotStep.LEAVE,
}


def _order(bot: Bot | None, action: Action) -> BotOrder:
    if bot is None or (BotState(bot.state) in TERMINAL_STATES and action is not Action.WITHDRAW):
        return BotOrder(step=BotStep.CLOSE, bot_id=bot.id if bot else "", state=bot.state if bot else "")
    waiting = bot.state in (BotState.SCHEDULED, BotState.DISPATCHING)
    return BotOrder(
        step=_STEPS.get(action, BotStep.WAIT if waiting else BotStep.FOLLOW),
        bot_id=bot.id,
        generation=bot.generation,
        state=bot.state,
        arm_at=bot.dispatch_at - ARMING,
        join_at=bot.join_at,
        end_at=bot.end_at,
    )
