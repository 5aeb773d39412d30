"""Record a dispatch: the intent before the backend is asked, and its answer afterwards.

The row is what makes a dispatch exactly-once: whatever dies between the two, the next attempt finds the intent and asks with
the same external id. Functions that change it lock the meeting's row first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from meetbot.backends.base import BotRequest
from meetbot.bots import changes
from meetbot.domain.bot_history import BotChange, Cause, ChangeSource
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.errors import BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.bot_transitions import note_change
from meetbot.storage.tables import Bot, Dispatch, Tenant
from meetbot.temporal.messages import DispatchRequest


@dataclass(frozen=True, slots=True)
class Intent:
    """One attempt's intent to ask the backend.

    ``written_at`` tells it from the intent of another attempt. ``surely_not_accepted``: the backend has not been asked
    before, or has turned every request away.
    """

    surely_not_accepted: bool
    written_at: datetime


def external_id_of(bot: Bot) -> str:
    """Return the idempotency key of this one dispatch: the bot's id and generation."""
    return f"{bot.id}.{bot.generation}"


def backend_request(bot: Bot, tenant: Tenant) -> BotRequest:
    """Return what the backend is asked for."""
    return BotRequest(
        external_id=external_id_of(bot),
        meeting_url=bot.meeting_url,
        join_at=bot.dispatch_at,
        display_name=tenant.bot_display_name,
        metadata={"bot_id": bot.id},
    )


def is_awaited(bot: Bot, request: DispatchRequest) -> bool:
    """Return whether the bot is still to be dispatched as requested."""
    return bot.generation == request.generation and bot.state in (BotState.SCHEDULED, BotState.DISPATCHING)


def begin_first_intent(bot: Bot, now: datetime) -> Intent:
    """Have a bot count as being asked for, before `write_first_intents` stores it with others."""
    bots.begin_to_ask(bot)
    return Intent(True, now)


def write_first_intents(session: Session, tenant_id: str, asked: Sequence[Bot], now: datetime) -> None:
    """Store that the backend is about to be asked for these bots.

    Their meetings are locked by the caller, who has called `begin_first_intent` for each.
    """
    bots.intend(session, tenant_id, {external_id_of(bot): bot for bot in asked}, Cause(BotChange.ASKED, now))


def write_intent_again(bot: Bot, earlier: Dispatch, now: datetime) -> Intent:
    """Store that the backend is about to be asked once more, after ``earlier``."""
    bots.move_bot(bot, BotState.DISPATCHING, Cause(BotChange.ASKED, now))
    intent = Intent(earlier.state is DispatchState.NOT_ACCEPTED, now)
    bots.move_dispatch(earlier, DispatchState.INTENDED)
    earlier.requested_at = now
    return intent


def record_acceptance(session: Session, request: DispatchRequest, backend_bot_id: str, *, asked_at: datetime) -> bool:
    """Store that the backend has the bot. Return False if it is unwanted and must be recalled."""
    bot, dispatch = _as_requested(session, request)
    if is_accepted_or_unwanted(bot, dispatch, request, backend_bot_id):
        return dispatch.state is DispatchState.ACCEPTED
    changes.accept_bot(session, bot, dispatch, backend_bot_id, at=asked_at)
    return True


def is_accepted_or_unwanted(bot: Bot, dispatch: Dispatch, request: DispatchRequest, backend_bot_id: str) -> bool:
    """Return whether no acceptance is to be stored.

    There is one already, or the bot was given up.
    """
    if dispatch.state is DispatchState.ACCEPTED:
        # The backend's report was faster than its answer.
        return True
    if not _is_given_up(bot, request):
        return False
    # It stays marked as one that may be out until it was recalled, which nobody else does.
    bots.move_dispatch(dispatch, DispatchState.INTENDED)
    dispatch.backend_bot_id = backend_bot_id
    return True


def record_refusal(session: Session, request: DispatchRequest, code: str, intent: Intent, now: datetime) -> bool:
    """Fail the bot that the backend refused for good.

    Return False if the refusal is outdated: the bot was moved, or another attempt has begun.
    """
    bot, dispatch = _as_requested(session, request)
    if not is_awaited(bot, request) or not _is_the_last(dispatch, intent):
        return False
    bots.move_dispatch(dispatch, DispatchState.REFUSED)
    changes.fail_bot(session, bot, code, now)
    return True


def record_outage(
    session: Session, request: DispatchRequest, error: BackendUnavailable, intent: Intent, now: datetime
) -> None:
    """Store why the backend did not accept the bot yet, and whether it surely did not."""
    bot, dispatch = _as_requested(session, request)
    if not is_awaited(bot, request):
        return
    # If the bot never gets there, this is why.
    bot.failure_code = error.code
    note_change(bot, bot.state, Cause(BotChange.NOT_ACCEPTED, now, ChangeSource.BACKEND, error.code))
    # An earlier request may have reached the backend though its answer was lost, whatever became of this one.
    if error.nothing_done and intent.surely_not_accepted and _is_the_last(dispatch, intent):
        bots.move_dispatch(dispatch, DispatchState.NOT_ACCEPTED)


def unwanted_backend_bot(session: Session, request: DispatchRequest) -> str | None:
    """Return the backend's id of a bot that it accepted after we gave it up, or None."""
    bot = session.get_one(Bot, (request.tenant_id, request.bot_id))
    dispatch = session.get(Dispatch, (request.tenant_id, request.meeting_key, request.generation))
    if dispatch is None or dispatch.state is not DispatchState.INTENDED or not _is_given_up(bot, request):
        return None
    return dispatch.backend_bot_id


def record_recall(session: Session, request: DispatchRequest, now: datetime) -> None:
    """Store that the backend has taken back an unwanted bot."""
    _, dispatch = _as_requested(session, request)
    bots.move_dispatch(dispatch, DispatchState.RECALLED)
    dispatch.recalled_at = now


def _as_requested(session: Session, request: DispatchRequest) -> tuple[Bot, Dispatch]:
    """The bot as it is now, and the dispatch that the backend was asked with."""
    bots.lock_meeting(session, request.tenant_id, request.meeting_key)
    bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
    return bot, session.get_one(Dispatch, (request.tenant_id, request.meeting_key, request.generation))


def _is_the_last(dispatch: Dispatch, intent: Intent) -> bool:
    """Return whether no other attempt has overtaken this one, which speaks only for itself."""
    return dispatch.requested_at == intent.written_at


def _is_given_up(bot: Bot, request: DispatchRequest) -> bool:
    return bot.generation != request.generation or bot.state in TERMINAL_STATES
