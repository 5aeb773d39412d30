"""Taking in what a backend says of a bot, by report or by our asking, once and in the right order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from meetbot.backends.base import BackendBot
from meetbot.backends.meetbot import job_from
from meetbot.bots import reconcile
from meetbot.domain.bot_state import PROGRESS, TERMINAL_STATES, BotState
from meetbot.errors import BackendUnavailable, InvalidInput
from meetbot.resources.bot import bot_document
from meetbot.storage import bots, outbox
from meetbot.storage.database import Database
from meetbot.storage.tables import Bot, Dispatch

_RELAYED = frozenset({"job.status_changed", "job.finalized", "job.failed"})
_ENDS = {BotState.COMPLETED: "bot.completed", BotState.FAILED: "bot.failed"}
# What the backend says of an end; that a job was cancelled is a change of its status.
_REPORTED_AS = {BotState.COMPLETED: "job.finalized", BotState.FAILED: "job.failed"}
_MAX_ID = 200
_TAKE = text(
    """
    insert into backend_report (tenant_id, backend, delivery_id) values (:tenant_id, 'meetbot', :delivery_id)
    on conflict do nothing returning delivery_id
    """
)


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """Whose meeting a report was about, for waking its workflow."""

    tenant_id: str
    meeting_key: str


def apply_report(database: Database, document: Mapping[str, Any], now: datetime) -> ReportOutcome | None:
    """Take in a report in meetbot's envelope. None where it is about no bot of ours.

    A report taken in before changes nothing. Raises `InvalidInput` for a document that is no report.
    """
    delivery_id, event_type, data = _envelope(document)
    external_id = data.get("externalId", data.get("external_id"))
    if not isinstance(external_id, str) or not 0 < len(external_id) <= _MAX_ID:
        return None
    with database.dispatch_lookup(external_id) as session:
        dispatch = session.exec(select(Dispatch).where(Dispatch.external_id == external_id)).one_or_none()
    if dispatch is None:
        return None
    with database.transaction(dispatch.tenant_id) as session:
        if _is_news(session, dispatch.tenant_id, delivery_id):
            _take_in(session, external_id, dispatch, event_type, data, now)
    return ReportOutcome(dispatch.tenant_id, dispatch.meeting_key)


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
    taken = session.execute(_TAKE, {"tenant_id": tenant_id, "delivery_id": delivery_id}).one_or_none()
    return taken is not None


def _take_in(
    session: Session,
    external_id: str,
    seen: Dispatch,
    event_type: str,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    bots.lock_meeting(session, seen.tenant_id, seen.meeting_key)
    dispatch = session.exec(
        select(Dispatch).where(Dispatch.tenant_id == seen.tenant_id, Dispatch.external_id == external_id)
    ).one()
    bot = session.get_one(Bot, (dispatch.tenant_id, dispatch.bot_id))
    try:
        reported: BackendBot | None = job_from(data)
    except BackendUnavailable:
        reported = None
    if reported is not None:
        apply_progress(session, bot, dispatch, reported, now=now)
    _relay(session, bot, dispatch, event_type, data, now)


def apply_progress(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot, *, now: datetime) -> None:
    """Move the bot on to what its backend says, never back, and only for the dispatch that is the bot's present one."""
    dispatch.backend_bot_id = dispatch.backend_bot_id or reported.id
    if dispatch.generation != bot.generation or BotState(bot.state) is BotState.SCHEDULED:
        return
    if reported.recorded_seconds is not None:
        # Reports may come in any order, and a recording only grows.
        bot.recorded_seconds = max(reported.recorded_seconds, bot.recorded_seconds or 0)
    if not _is_its_own_doing(session, bot, dispatch, reported):
        return
    if BotState(bot.state) is BotState.MISSED:
        # Nobody needs to call it back for want of an answer any more.
        dispatch.left_at = None
    if BotState(bot.state) in (BotState.DISPATCHING, BotState.MISSED):
        # Faster than the answer to our asking, which may never come.
        reconcile.note_taken(session, bot, dispatch, reported.id, at=dispatch.requested_at or now)
    if _is_ahead(reported.state, BotState(bot.state)):
        _move_on(session, bot, reported, now)


def _move_on(session: Session, bot: Bot, reported: BackendBot, now: datetime) -> None:
    ends = reported.state in TERMINAL_STATES
    if _joined_between(BotState(bot.state), reported.state):
        bot.state = BotState.IN_CALL if ends else reported.state
        _tell(session, bot, "bot.joined", now)
    if ends:
        bot.state = BotState.FAILED if reported.state is BotState.CANCELLED else reported.state
        bot.outcome, bot.failure_code = str(bot.state), reported.failure_code
        _tell(session, bot, _ENDS[BotState(bot.state)], now)
    elif BotState(bot.state) is not reported.state:
        bot.state = reported.state
        bots.touch(bot, now)


def _tell(session: Session, bot: Bot, event_type: str, now: datetime) -> None:
    bots.touch(bot, now)
    session.flush()
    data = bot_document(bot, bots.claimants(session, bot.tenant_id, bot.meeting_key)) | bots.audience(session, bot)
    outbox.emit(session, bot.tenant_id, event_type, data)


def relay_end(session: Session, bot: Bot, dispatch: Dispatch, ended: BackendBot, *, now: datetime) -> None:
    """Tell the tenant of an end that we had to ask for, in the words in which the backend would have reported it."""
    _relay(session, bot, dispatch, _REPORTED_AS.get(ended.state, "job.status_changed"), ended.document, now)


def _relay(
    session: Session, bot: Bot, dispatch: Dispatch, event_type: str, data: Mapping[str, Any], now: datetime
) -> None:
    if event_type not in _RELAYED:
        return
    if event_type != "job.status_changed":
        if dispatch.ended_at is not None:
            return
        dispatch.ended_at = now
    session.flush()
    outbox.emit(session, bot.tenant_id, event_type, {**data, **bots.audience(session, bot)})


def _is_its_own_doing(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot) -> bool:
    """Whether what is reported says something of the bot: not so where it has ended, or where the end is the answer to our
    calling it back."""
    if BotState(bot.state) in TERMINAL_STATES:
        return _was_wrongly_missed(session, bot, dispatch, reported)
    return reported.state not in TERMINAL_STATES or not reconcile.is_being_called_back(dispatch)


def _was_wrongly_missed(session: Session, bot: Bot, dispatch: Dispatch, reported: BackendBot) -> bool:
    """Whether it was in the meeting after all, though no answer had reached us before the meeting was over. Not where the
    meeting has had another bot since: that one speaks for it now."""
    if BotState(bot.state) is not BotState.MISSED or dispatch.state != "intended" or not was_in_the_call(reported):
        return False
    latest = bots.latest_bot(session, bot.tenant_id, bot.meeting_key)
    return latest is not None and latest.id == bot.id


def was_in_the_call(reported: BackendBot) -> bool:
    return _joined_between(BotState.DISPATCHED, reported.state)


def _is_ahead(reported: BotState, known: BotState) -> bool:
    return reported is BotState.CANCELLED or PROGRESS.index(reported) > PROGRESS.index(known)


def _joined_between(known: BotState, reported: BotState) -> bool:
    """Whether the bot came into the call on the way from one state to the other."""
    if reported in (BotState.CANCELLED, BotState.FAILED):
        return False
    return PROGRESS.index(known) < PROGRESS.index(BotState.IN_CALL) <= PROGRESS.index(reported)
