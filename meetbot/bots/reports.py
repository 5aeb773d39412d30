"""Apply what a backend says of a bot, in a report or because we asked, once and in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from meetbot.backends.base import BackendBot
from meetbot.backends.meetbot import job_from, without_link
from meetbot.bots import changes
from meetbot.bots.changes import announce
from meetbot.domain.bot_history import BotChange, Cause, ChangeSource
from meetbot.domain.bot_state import PROGRESS, TERMINAL_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState, is_being_recalled
from meetbot.domain.event_types import WebhookEventType
from meetbot.errors import BackendUnavailable, InvalidInput
from meetbot.storage import bots, outbox
from meetbot.storage.database import Database
from meetbot.storage.silent_bots import SilentBot
from meetbot.storage.tables import Bot, Dispatch

_RELAYED = frozenset({WebhookEventType.JOB_STATUS_CHANGED, WebhookEventType.JOB_FINALIZED, WebhookEventType.JOB_FAILED})
_ENDS = {BotState.COMPLETED: WebhookEventType.BOT_COMPLETED, BotState.FAILED: WebhookEventType.BOT_FAILED}
# What the backend says of an end; that a job was cancelled is a change of its status.
_REPORTED_AS = {BotState.COMPLETED: WebhookEventType.JOB_FINALIZED, BotState.FAILED: WebhookEventType.JOB_FAILED}
# Its workflow may be asking the backend for it again, or recalling it, or may have closed.
_UNEXPECTED_BEFORE = TERMINAL_STATES | {BotState.SCHEDULED, BotState.DISPATCHING}
_LOST_AFTER = timedelta(hours=24)
_MAX_ID = 200
_REMEMBER = text(
    """
    insert into backend_report (tenant_id, backend, delivery_id) values (:tenant_id, 'meetbot', :delivery_id)
    on conflict do nothing returning delivery_id
    """
)


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """The meeting that a report was about.

    ``wakes``: its workflow has something to do now. A bot that only goes on as expected is nothing to it.
    """

    tenant_id: str
    meeting_key: str
    wakes: bool


def apply_report(database: Database, document: Mapping[str, Any], now: datetime) -> ReportOutcome | None:
    """Apply a report in meetbot's envelope. Return None if it is about no bot of ours.

    A repeated report changes nothing. Raises `InvalidInput` for a document that is no report.
    """
    delivery_id, event_type, data = _envelope(document)
    external_id = data.get("externalId", data.get("external_id"))
    if not isinstance(external_id, str) or not 0 < len(external_id) <= _MAX_ID:
        return None
    with database.dispatch_lookup(external_id) as session:
        dispatch = session.exec(select(Dispatch).where(Dispatch.external_id == external_id)).one_or_none()
    if dispatch is None:
        return None
    wakes = False
    with database.transaction(dispatch.tenant_id) as session:
        dispatch = _locked(session, dispatch)
        if _is_news(session, dispatch.tenant_id, delivery_id):
            wakes = _apply(session, dispatch, event_type, data, now)
        else:
            # The first delivery may have been stored without the signal getting through.
            wakes = _has_ended(session, dispatch)
    return ReportOutcome(dispatch.tenant_id, dispatch.meeting_key, wakes)


def _envelope(document: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    delivery_id, event_type, data = (document.get(name) for name in ("deliveryId", "event", "data"))
    if (
        not isinstance(delivery_id, str)
        or not 0 < len(delivery_id) <= _MAX_ID
        or not isinstance(event_type, str)
        or not isinstance(data, dict)
    ):
        raise InvalidInput("invalid_report", "the body is no report: deliveryId, event and data are needed")
    return delivery_id, event_type, data


def _is_news(session: Session, tenant_id: str, delivery_id: str) -> bool:
    remembered = session.execute(_REMEMBER, {"tenant_id": tenant_id, "delivery_id": delivery_id}).one_or_none()
    return remembered is not None


def _locked(session: Session, seen: Dispatch) -> Dispatch:
    """Return the dispatch as it is now, its meeting locked.

    The bot may be given to another meeting that shares it while we wait for the lock.
    """
    bots.lock_meeting(session, seen.tenant_id, seen.meeting_key)
    asked = select(Dispatch).where(Dispatch.tenant_id == seen.tenant_id, Dispatch.external_id == seen.external_id)
    dispatch = session.exec(asked).one()
    if dispatch.meeting_key != seen.meeting_key:
        bots.lock_meeting(session, dispatch.tenant_id, dispatch.meeting_key)
    return dispatch


def _apply(session: Session, dispatch: Dispatch, event_type: str, data: Mapping[str, Any], now: datetime) -> bool:
    """Apply the report; return whether the bot's workflow has something to do now."""
    bot = session.get_one(Bot, (dispatch.tenant_id, dispatch.bot_id))
    before, bot.heard_at = bot.state, now
    try:
        reported: BackendBot | None = job_from(data)
    except BackendUnavailable:
        reported = None
    if reported is not None:
        _apply_progress(session, bot, dispatch, reported, now=now)
    _relay(session, bot, dispatch, event_type, data, now)
    is_recalled = is_being_recalled(dispatch.state, dispatch.recalled_at)
    return is_recalled or before in _UNEXPECTED_BEFORE or bot.state in TERMINAL_STATES


def _has_ended(session: Session, dispatch: Dispatch) -> bool:
    return session.get_one(Bot, (dispatch.tenant_id, dispatch.bot_id)).state in TERMINAL_STATES


def apply_answer(database: Database, seen: Bot | SilentBot, answer: BackendBot | None, *, now: datetime) -> bool:
    """Apply what a backend answered about a bot; return whether its workflow has to know.

    The answer is None if there was none. ``seen`` is the bot as it was when the backend was asked. An answer about a bot that
    was recalled meanwhile changes nothing.
    """
    with database.transaction(seen.tenant_id) as session:
        bots.lock_meeting(session, seen.tenant_id, seen.meeting_key)
        bot = session.get_one(Bot, (seen.tenant_id, seen.id), populate_existing=True)
        dispatch = bots.dispatch_of(session, bot)
        if dispatch is None or (bot.generation, bot.backend_bot_id) != (seen.generation, seen.backend_bot_id):
            return False
        if answer is not None:
            _apply_progress(session, bot, dispatch, answer, now=now)
        if answer is not None and answer.state in TERMINAL_STATES:
            _relay_end(session, bot, dispatch, answer, now=now)
        elif is_lost(bot, now) and bot.state not in TERMINAL_STATES:
            changes.fail_bot(session, bot, "backend_lost", now)
        return bot.state in TERMINAL_STATES


def is_lost(bot: Bot | SilentBot, now: datetime) -> bool:
    """Return whether a bot that has not ended a day after its meeting's end is lost."""
    return now > bot.end_at + _LOST_AFTER


def _apply_progress(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot, *, now: datetime) -> None:
    """Move the bot on to what its backend says, never back, and only for its present dispatch."""
    dispatch.backend_bot_id = dispatch.backend_bot_id or reported.id
    if dispatch.generation != bot.generation or bot.state is BotState.SCHEDULED:
        return
    if reported.recorded_seconds is not None:
        # Reports may come in any order, and a recording only grows.
        bot.recorded_seconds = max(reported.recorded_seconds, bot.recorded_seconds or 0)
    if not _happened_by_itself(session, bot, dispatch, reported):
        return
    if bot.state is BotState.MISSED:
        # A bot without an answer is recalled; this report is an answer, so the recall is dropped.
        dispatch.recalled_at = None
    if bot.state in (BotState.DISPATCHING, BotState.MISSED):
        # The report arrived before the answer to our request, and that answer may never come.
        changes.accept_bot(session, bot, dispatch, reported.id, at=dispatch.requested_at or now)
    if _is_ahead(reported.state, bot.state):
        _move_on(session, bot, reported, now)


def _move_on(session: Session, bot: Bot, reported: BackendBot, now: datetime) -> None:
    ends = reported.state in TERMINAL_STATES
    cause = Cause(BotChange.REPORTED, now, ChangeSource.BACKEND, backend_code=reported.failure_code)
    if _joined_between(bot.state, reported.state):
        bots.move_bot(bot, BotState.IN_CALL if ends else reported.state, cause)
        bots.touch(bot, now)
        announce(session, bot, WebhookEventType.BOT_JOINED)
    if ends:
        end = BotState.FAILED if reported.state is BotState.CANCELLED else reported.state
        bots.move_bot(bot, end, replace(cause, change=BotChange.ENDED, code=reported.failure_code))
        bot.outcome, bot.failure_code = str(bot.state), reported.failure_code
        bots.touch(bot, now)
        announce(session, bot, _ENDS[bot.state])
    elif bot.state is not reported.state:
        bots.move_bot(bot, reported.state, cause)
        bots.touch(bot, now)


def _relay_end(session: Session, bot: Bot, dispatch: Dispatch, ended: BackendBot, *, now: datetime) -> None:
    """Tell the tenant of an end that we had to ask for, as the backend would have reported it."""
    _relay(
        session, bot, dispatch, _REPORTED_AS.get(ended.state, WebhookEventType.JOB_STATUS_CHANGED), ended.document, now
    )


def _relay(
    session: Session, bot: Bot, dispatch: Dispatch, event_type: str, data: Mapping[str, Any], now: datetime
) -> None:
    if event_type not in _RELAYED:
        return
    if event_type != WebhookEventType.JOB_STATUS_CHANGED:
        if dispatch.ended_at is not None:
            return
        dispatch.ended_at = now
    session.flush()
    if not bot.meeting_url:
        # An erasure has taken the link from our rows: a late report brings none back.
        data = without_link(data)
    outbox.emit(session, bot.tenant_id, event_type, {**data, **bots.audience(session, bot)})


def _happened_by_itself(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot) -> bool:
    """Whether the reported change happened without our doing.

    False if the bot has ended already (unless it was missed wrongly), or if the bot ended because we recalled it.
    """
    if bot.state in TERMINAL_STATES:
        return _was_wrongly_missed(session, bot, dispatch, reported)
    being_recalled = is_being_recalled(dispatch.state, dispatch.recalled_at)
    return reported.state not in TERMINAL_STATES or not being_recalled


def _was_wrongly_missed(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot) -> bool:
    """Whether a bot counted as missed was in the meeting though no answer came in time.

    False if the meeting has had another bot since: only the latest bot counts for the meeting.
    """
    unanswered = dispatch.state is DispatchState.INTENDED
    if bot.state is not BotState.MISSED or not unanswered or not was_in_the_call(reported):
        return False
    latest = bots.latest_bot(session, bot.tenant_id, bot.meeting_key)
    return latest is not None and latest.id == bot.id


def was_in_the_call(reported: BackendBot) -> bool:
    """Return whether the backend's bot is or was in the call."""
    return _joined_between(BotState.DISPATCHED, reported.state)


def _is_ahead(reported: BotState, known: BotState) -> bool:
    return reported is BotState.CANCELLED or PROGRESS.index(reported) > PROGRESS.index(known)


def _joined_between(known: BotState, reported: BotState) -> bool:
    """Return whether the bot came into the call on the way from one state to the other."""
    if reported in (BotState.CANCELLED, BotState.FAILED):
        return False
    return PROGRESS.index(known) < PROGRESS.index(BotState.IN_CALL) <= PROGRESS.index(reported)
