"""The changes of a bot, each with what is announced of it.

Callers hold the meeting's row lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.bots.claims import target_of
from meetbot.domain.bot_history import BotChange, Cause, ChangeSource
from meetbot.domain.bot_state import BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.ids import new_id
from meetbot.domain.rooms import SHARED, room_id
from meetbot.resources.bot import bot_document
from meetbot.storage import bots, outbox, rooms
from meetbot.storage.bot_transitions import note_change
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Bot, Dispatch, Meeting


def create_bot(
    session: Session, meeting: Meeting, leader: ClaimCopy, *, lead: timedelta, backend: str, now: datetime
) -> Bot:
    """Store a new bot for the leading claim, scheduled ``lead`` before the meeting's start."""
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
        room=room_id(meeting.tenant_id, leader.meeting_platform, leader.meeting_id),
        event_id=leader.event_id,
        backend=backend,
    )
    session.add(bot)
    note_change(bot, None, Cause(BotChange.CREATED, now))
    session.flush()
    announce(session, bot, WebhookEventType.BOT_SCHEDULED)
    return bot


def reschedule_bot(session: Session, bot: Bot, leader: ClaimCopy, *, lead: timedelta, now: datetime) -> None:
    """Give the bot the leading claim's times and link."""
    bot.join_at, bot.end_at = leader.start_at, leader.end_at
    bot.dispatch_at = leader.start_at - lead
    bot.meeting_url, bot.target_digest = leader.meeting_url, target_of(leader).digest
    bot.room = room_id(bot.tenant_id, leader.meeting_platform, leader.meeting_id)
    bot.event_id = leader.event_id
    bots.touch(bot, now)
    note_change(bot, bot.state, Cause(BotChange.RESCHEDULED, now))
    announce(session, bot, WebhookEventType.BOT_RESCHEDULED)


def accept_bot(session: Session, bot: Bot, dispatch: Dispatch, backend_bot_id: str, *, at: datetime) -> None:
    """Note that the backend has the bot, as its answer or its report says."""
    mark_accepted(bot, dispatch, backend_bot_id, at=at)
    announce(session, bot, WebhookEventType.BOT_DISPATCHED)


def mark_accepted(bot: Bot, dispatch: Dispatch, backend_bot_id: str, *, at: datetime) -> None:
    """Note that the backend has the bot; the caller announces it."""
    bots.move_dispatch(dispatch, DispatchState.ACCEPTED)
    dispatch.accepted_at = at
    dispatch.backend_bot_id = bot.backend_bot_id = backend_bot_id
    # Whatever kept it before, it is on its way now.
    bot.dispatched_at, bot.failure_code, bot.outcome = at, None, None
    bots.move_bot(bot, BotState.DISPATCHED, Cause(BotChange.ACCEPTED, at, ChangeSource.BACKEND))
    bots.touch(bot, at)


def renew_bot(session: Session, bot: Bot, now: datetime) -> None:
    """Make a recalled bot ready to be sent again: the same bot, the meeting's next generation."""
    meeting = bots.lock_meeting(session, bot.tenant_id, bot.meeting_key)
    meeting.generation += 1
    bot.generation = meeting.generation
    bots.move_bot(bot, BotState.SCHEDULED, Cause(BotChange.RENEWED, now))
    bot.backend_bot_id, bot.dispatched_at, bot.recorded_seconds = None, None, None
    bots.touch(bot, now)


def cancel_bot(session: Session, bot: Bot, meeting: Meeting, now: datetime) -> None:
    """End a bot that is not in a meeting as cancelled; its outcome says whether a person did it."""
    outcome = _cancelled_by(meeting)
    _end(bot, BotState.CANCELLED, outcome, Cause(BotChange.ENDED, now, _canceller_of(meeting), outcome))
    announce(session, bot, WebhookEventType.BOT_CANCELLED)


def miss_bot(session: Session, bot: Bot, now: datetime) -> None:
    """End a bot whose meeting is over without it."""
    # What the backend last said, if it was asked and did not take the bot, is why.
    _end(bot, BotState.MISSED, "missed", Cause(BotChange.ENDED, now, code=bot.failure_code or "missed"))
    announce(session, bot, WebhookEventType.RECORDING_MISSED)


def fail_bot(session: Session, bot: Bot, failure_code: str, now: datetime) -> None:
    """End a bot that its backend refused or lost."""
    bot.failure_code = failure_code
    _end(bot, BotState.FAILED, "failed", Cause(BotChange.ENDED, now, ChangeSource.BACKEND, failure_code))
    announce(session, bot, WebhookEventType.BOT_FAILED)


def mark_shared(bot: Bot, shared_bot_id: str, now: datetime) -> None:
    """End a bot that was not sent: another meeting's is in the room, and serves this one too.

    The caller announces it.
    """
    bot.shared_bot_id = shared_bot_id
    _end(bot, BotState.CANCELLED, SHARED, Cause(BotChange.ENDED, now, code=SHARED))


def leave_shared_bot(session: Session, bot: Bot, meeting: Meeting, now: datetime) -> None:
    """Note that another's bot serves the meeting no longer, as if its own had been recalled."""
    bot.shared_bot_id = None
    bot.outcome = _cancelled_by(meeting)
    bots.touch(bot, now)
    note_change(bot, bot.state, Cause(BotChange.SHARING_ENDED, now, _canceller_of(meeting), bot.outcome))
    announce(session, bot, WebhookEventType.BOT_CANCELLED)


def hand_over(
    session: Session, bot: Bot, dispatch: Dispatch, heir: Meeting, leader: ClaimCopy, *, lead: timedelta, now: datetime
) -> None:
    """Give a bot that was sent to another meeting in the same room, which shared it until now."""
    heir.generation += 1
    # The dispatch keeps its external id, by which the backend knows it.
    dispatch.meeting_key = bot.meeting_key = heir.meeting_key
    dispatch.generation = bot.generation = heir.generation
    heir.leader_calendar_user_id = leader.calendar_user_id
    note_change(bot, bot.state, Cause(BotChange.HANDED_OVER, now))
    reschedule_bot(session, bot, leader, lead=lead, now=now)


def _cancelled_by(meeting: Meeting) -> str:
    return "cancelled" if meeting.suppressed_at is None else "cancelled_by_hand"


def _canceller_of(meeting: Meeting) -> ChangeSource:
    return ChangeSource.SERVICE if meeting.suppressed_at is None else ChangeSource.PERSON


def _end(bot: Bot, state: BotState, outcome: str, cause: Cause) -> None:
    bots.move_bot(bot, state, cause)
    bot.outcome = outcome
    bots.touch(bot, cause.at)


def announce(session: Session, bot: Bot, event_type: str) -> None:
    """Put the bot as it is now into the outbox, with the users and events whose recording it is."""
    announce_all(session, bot.tenant_id, [bot], event_type)


def announce_all(session: Session, tenant_id: str, of: Sequence[Bot], event_type: str) -> None:
    """Put these bots as they are now into the outbox, as `announce` does."""
    if not of:
        return
    session.flush()
    claims = rooms.claimants_by_bot(session, tenant_id, of)
    audiences = bots.audiences(session, tenant_id, of)
    outbox.emit_many(
        session,
        tenant_id,
        [outbox.Message(event_type, bot_document(bot, claims[bot.id]) | audiences[bot.id]) for bot in of],
    )
