"""The bots in a room, and the meetings that share one.

Whoever lets a meeting share a bot, or ends a bot that may be shared, holds the lock of its room, taken before those of the
meetings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, text
from sqlmodel import Session, and_, col, or_, select

from meetbot.domain.bot_state import BotState
from meetbot.domain.rooms import OCCUPYING_STATES, SHARED
from meetbot.storage.tables import Bot

# In the order in which they are given. A statement sees what was committed before it began, so this is one by itself.
_LOCK = text("select pg_advisory_xact_lock(hashtextextended(room, 7064)) from unnest(cast(:rooms as text[])) room")


def lock_rooms(session: Session, rooms: Iterable[str | None]) -> list[str]:
    """Lock these rooms until the transaction ends, and return them.

    A meeting without a room has none to lock.
    """
    known = sorted({room for room in rooms if room is not None})
    if known:
        session.execute(_LOCK, {"rooms": known})
    return known


def in_rooms(rooms: Collection[str], since: datetime) -> ColumnElement[bool]:
    """Return the condition of bots that may be in these rooms, or whose meeting shares one.

    ``since``: only those of meetings that are planned to last longer than until then.
    """
    # One that is missed may be out all the same, if no answer about it came.
    states = col(Bot.state).in_((*OCCUPYING_STATES, BotState.MISSED))
    return and_(col(Bot.room).in_(rooms), col(Bot.end_at) > since, or_(states, col(Bot.outcome) == SHARED))


class Sharer(NamedTuple):
    """A meeting that shares another's bot, and the times for which it began to."""

    meeting_key: str
    bot_id: str
    join_at: datetime
    end_at: datetime
    room: str | None


_SHARERS = text(
    """
    select own.meeting_key, own.id, own.join_at, own.end_at, own.room
      from bot own
      join bot shared on shared.tenant_id = own.tenant_id and shared.id = own.shared_bot_id
     where own.tenant_id = :tenant_id and own.shared_bot_id = :bot_id and own.outcome = 'shared'
       and own.meeting_key <> shared.meeting_key
       and not exists (select 1 from bot later where later.tenant_id = own.tenant_id
                          and later.meeting_key = own.meeting_key and later.generation > own.generation)
     order by own.join_at, own.meeting_key
    """
)


def sharers_of(session: Session, tenant_id: str, bot_id: str) -> list[Sharer]:
    """Return the other meetings that share the bot, the earliest first."""
    return [Sharer(*row) for row in session.execute(_SHARERS, {"tenant_id": tenant_id, "bot_id": bot_id})]


class BotInRoom(NamedTuple):
    """A meeting's latest bot, and the room that it is for."""

    bot_id: str
    room: str | None


_LATEST = text(
    """
    select id, room from bot where tenant_id = :tenant_id and meeting_key = :meeting_key
     order by generation desc limit 1
    """
)


def latest_in_room(session: Session, tenant_id: str, meeting_key: str) -> BotInRoom | None:
    """Return the meeting's latest bot as it is before its meeting is locked."""
    row = session.execute(_LATEST, {"tenant_id": tenant_id, "meeting_key": meeting_key}).one_or_none()
    return BotInRoom(*row) if row is not None else None


_CLAIM_AGAIN = text(
    """
    update bot_claim set acknowledged_digest = null
     where tenant_id = :tenant_id and meeting_key = any(:meeting_keys) and acknowledged_digest is not null
    """
)


def claim_meetings_again(session: Session, tenant_id: str, meeting_keys: Sequence[str]) -> None:
    """Have the claims on these meetings made again at the next sync.

    That starts their workflows if they were lost.
    """
    if meeting_keys:
        session.execute(_CLAIM_AGAIN, {"tenant_id": tenant_id, "meeting_keys": list(meeting_keys)})


_CLAIMANTS = text(
    """
    select asked.bot_id, claim.calendar_user_id
      from unnest(cast(:bots as text[]), cast(:keys as text[])) asked (bot_id, meeting_key)
      join bot_claim claim on claim.tenant_id = :tenant_id and claim.meeting_key = asked.meeting_key
    union
    select own.shared_bot_id, claim.calendar_user_id
      from bot own
      join bot_claim claim on claim.tenant_id = own.tenant_id and claim.meeting_key = own.meeting_key
     where own.tenant_id = :tenant_id and own.shared_bot_id = any(:bots) and own.outcome = 'shared'
     order by 1, 2
    """
)


def claimants_by_bot(session: Session, tenant_id: str, of: Sequence[Bot]) -> dict[str, list[str]]:
    """Return by bot the ids of the calendar users whose meetings it serves, sorted."""
    found: dict[str, list[str]] = {bot.id: [] for bot in of}
    if found:
        bounds = {"tenant_id": tenant_id, "bots": [bot.id for bot in of], "keys": [bot.meeting_key for bot in of]}
        for bot_id, calendar_user_id in session.execute(_CLAIMANTS, bounds):
            found[bot_id].append(calendar_user_id)
    return found


def shared_bots(session: Session, tenant_id: str, of: Iterable[Bot]) -> dict[str, Bot]:
    """Return by bot the one that was shared in its place, for those that have one."""
    shared = {bot.id: bot.shared_bot_id for bot in of if bot.outcome == SHARED and bot.shared_bot_id is not None}
    if not shared:
        return {}
    rows = session.exec(select(Bot).where(Bot.tenant_id == tenant_id, col(Bot.id).in_(set(shared.values()))))
    by_id = {row.id: row for row in rows}
    return {own: by_id[bot_id] for own, bot_id in shared.items() if bot_id in by_id}
