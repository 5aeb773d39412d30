"""Read bots as customers see them, and suppress a meeting's bot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, text, tuple_
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, col, select

from meetbot.domain.bot_state import TERMINAL_STATES
from meetbot.domain.rooms import SHARED
from meetbot.storage.rooms import lock_rooms, shared_bots, sharers_of
from meetbot.storage.tables import Bot, BotClaim, Dispatch


@dataclass(frozen=True, slots=True)
class BotFilter:
    """What a listing of bots is narrowed to; None does not narrow it."""

    state: str | None = None
    meeting_key: str | None = None
    calendar_user_id: str | None = None


def meetings_to_cancel(session: Session, bot: Bot) -> list[str]:
    """Return the meetings that get no bot if this one is cancelled by hand; lock its room.

    None if the bot has ended. They are its own and those that share it. Cancelling a bot that was not sent, because another
    is shared, is about its own meeting alone.
    """
    lock_rooms(session, [bot.room])
    session.refresh(bot)
    if bot.state not in TERMINAL_STATES:
        return sorted({bot.meeting_key, *(one.meeting_key for one in sharers_of(session, bot.tenant_id, bot.id))})
    shared = shared_bots(session, bot.tenant_id, [bot]).get(bot.id)
    return [bot.meeting_key] if shared is not None and shared.state not in TERMINAL_STATES else []


def find_bot(session: Session, tenant_id: str, bot_id: str) -> Bot | None:
    """Return a bot of the tenant, or None."""
    return session.get(Bot, (tenant_id, bot_id))


def list_bots(
    session: Session, tenant_id: str, wanted: BotFilter, *, before: tuple[datetime, str] | None, limit: int
) -> list[Bot]:
    """Return a page of bots, the newest first, after the one at ``before``: (created, id)."""
    statement = select(Bot).where(Bot.tenant_id == tenant_id)
    if wanted.state is not None:
        statement = statement.where(Bot.state == wanted.state)
    if wanted.meeting_key is not None:
        statement = statement.where(
            or_(col(Bot.meeting_key) == wanted.meeting_key, _serves(tenant_id, wanted.meeting_key))
        )
    if wanted.calendar_user_id is not None:
        claimed = exists().where(
            col(BotClaim.tenant_id) == tenant_id,
            or_(col(BotClaim.meeting_key) == col(Bot.meeting_key), _serves(tenant_id, col(BotClaim.meeting_key))),
            col(BotClaim.calendar_user_id) == wanted.calendar_user_id,
        )
        statement = statement.where(claimed)
    if before is not None:
        statement = statement.where(tuple_(col(Bot.created_at), col(Bot.id)) < before)
    newest_first = statement.order_by(col(Bot.created_at).desc(), col(Bot.id).desc())
    return list(session.exec(newest_first.limit(limit)))


_Sharing = aliased(Bot)


def _serves(tenant_id: str, meeting_key: Mapped[str] | str) -> ColumnElement[bool]:
    """Return the condition that a bot serves another meeting, in place of that one's own."""
    return exists().where(
        col(_Sharing.tenant_id) == tenant_id,
        col(_Sharing.shared_bot_id) == col(Bot.id),
        col(_Sharing.outcome) == SHARED,
        col(_Sharing.meeting_key) == meeting_key,
    )


_LATEST = text(
    """
    select distinct on (meeting_key) * from bot
     where tenant_id = :tenant_id and meeting_key = any(:meeting_keys)
     order by meeting_key, generation desc, created_at desc
    """
)


def latest_bots(session: Session, tenant_id: str, meeting_keys: Collection[str]) -> Mapping[str, Bot]:
    """Return each meeting's newest bot, or the one that it shares in place of that."""
    values = {"tenant_id": tenant_id, "meeting_keys": sorted(meeting_keys)}
    rows = list(session.execute(select(Bot).from_statement(_LATEST), values).scalars())
    shared = shared_bots(session, tenant_id, rows)
    return {bot.meeting_key: shared.get(bot.id, bot) for bot in rows}


def latest_dispatch(session: Session, bot: Bot) -> Dispatch | None:
    """Return the bot's dispatch of the highest generation, or None if it was never to be sent."""
    return session.exec(
        select(Dispatch)
        .where(
            Dispatch.tenant_id == bot.tenant_id,
            Dispatch.meeting_key == bot.meeting_key,
            Dispatch.bot_id == bot.id,
        )
        .order_by(col(Dispatch.generation).desc())
        .limit(1)
    ).one_or_none()


_SUPPRESS = text(
    """
    insert into meeting as m (tenant_id, meeting_key, generation, suppressed_at, suppressed_by)
    values (:tenant_id, :meeting_key, 0, :now, :suppressed_by)
    on conflict (tenant_id, meeting_key) do update
       set suppressed_at = coalesce(m.suppressed_at, excluded.suppressed_at),
           suppressed_by = coalesce(m.suppressed_by, excluded.suppressed_by)
    """
)


def suppress_meeting(session: Session, tenant_id: str, meeting_key: str, *, suppressed_by: str, now: datetime) -> None:
    """Let the meeting have no bot until an override says "record".

    The first to suppress it is remembered.
    """
    session.execute(
        _SUPPRESS, {"tenant_id": tenant_id, "meeting_key": meeting_key, "suppressed_by": suppressed_by, "now": now}
    )
