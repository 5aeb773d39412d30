"""Which process holds which bot until its instant, for all processes to see.

A row is made when a bot is handed to a process, and deleted when its dispatch has come to something. A process whose pulse
has ended is dead, and another takes its rows over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session

from meetbot.temporal.messages import DispatchRequest

_HOLD = text(
    """
    insert into launch_hold as held (tenant_id, bot_id, meeting_key, generation, wait_is_over, holder, task_token)
    select :tenant_id, asked.bot_id, asked.meeting_key, asked.generation, asked.wait_is_over, :holder, asked.task_token
      from unnest(cast(:bots as text[]), cast(:keys as text[]), cast(:generations as int[]), cast(:over as bool[]),
                  cast(:tokens as bytea[])) asked (bot_id, meeting_key, generation, wait_is_over, task_token)
    on conflict (tenant_id, bot_id) do update
       set task_token = coalesce(excluded.task_token, held.task_token),
           holder = case when held.generation = excluded.generation then held.holder else excluded.holder end,
           generation = excluded.generation,
           wait_is_over = held.wait_is_over or excluded.wait_is_over
    returning bot_id, holder
    """
)
_RELEASE = text(
    """
    delete from launch_hold held
     using unnest(cast(:bots as text[]), cast(:generations as int[])) done (bot_id, generation)
     where held.tenant_id = :tenant_id and held.bot_id = done.bot_id and held.generation = done.generation
    returning held.bot_id, held.task_token
    """
)
_OVERTAKEN = text(
    """
    select held.bot_id
      from unnest(cast(:bots as text[]), cast(:generations as int[]), cast(:instants as timestamptz[]),
                  cast(:digests as text[])) held (bot_id, generation, dispatch_at, target_digest)
      join bot on bot.tenant_id = :tenant_id and bot.id = held.bot_id
      join meeting on meeting.tenant_id = bot.tenant_id and meeting.meeting_key = bot.meeting_key
     where bot.generation <> held.generation or bot.state not in ('scheduled', 'dispatching')
        or bot.dispatch_at <> held.dispatch_at or bot.target_digest <> held.target_digest
        or meeting.suppressed_at is not null
    """
)
_OTHER_HOLDERS = text("select distinct holder from launch_hold where holder <> :holder")
_TAKE_OVER = text(
    """
    update launch_hold set holder = :holder where holder = :dead
    returning tenant_id, bot_id, meeting_key, generation, wait_is_over
    """
)
_HELD_BY = text(
    "select tenant_id, bot_id, meeting_key, generation, wait_is_over from launch_hold where holder = :holder"
)
_OVERLOOKED = text(
    """
    select bot.tenant_id, bot.id as bot_id, bot.meeting_key, bot.generation, false as wait_is_over
      from bot left join launch_hold held on held.tenant_id = bot.tenant_id and held.bot_id = bot.id
     where bot.state in ('scheduled', 'dispatching', 'dispatched', 'joining', 'in_call', 'recording', 'finalizing')
       and bot.state = 'scheduled' and bot.dispatch_at between :since and :until and held.bot_id is null
     order by bot.dispatch_at
     limit :most
    """
)
_DUE_TOGETHER = text(
    """
    select count(*)
      from (select 1 from bot
             where state in ('scheduled', 'dispatching', 'dispatched', 'joining', 'in_call', 'recording', 'finalizing')
               and dispatch_at >= :since and dispatch_at < :until
             limit :most) due
    """
)


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """A held bot as it was armed."""

    bot_id: str
    generation: int
    dispatch_at: datetime
    target_digest: str


def hold(
    session: Session, tenant_id: str, holder: int, asked: Sequence[tuple[DispatchRequest, bytes | None]]
) -> dict[str, int]:
    """Hold these bots; return by bot which process holds it, which may be another one already.

    Each comes with the token by which its activity is completed, None if it was not asked for by an activity.
    """
    # One row for each bot: a statement can change it only once.
    by_bot = {request.bot_id: (request, token) for request, token in asked}
    requests = [request for request, _ in by_bot.values()]
    rows = session.execute(
        _HOLD,
        {
            "tenant_id": tenant_id,
            "holder": holder,
            "bots": [request.bot_id for request in requests],
            "keys": [request.meeting_key for request in requests],
            "generations": [request.generation for request in requests],
            "over": [request.wait_is_over for request in requests],
            "tokens": [token for _, token in by_bot.values()],
        },
    )
    return {row.bot_id: row.holder for row in rows}


def release(session: Session, tenant_id: str, done: Sequence[DispatchRequest]) -> dict[str, bytes]:
    """Delete the rows of these bots; return by bot the tokens of activities that wait for them."""
    bounds = {
        "tenant_id": tenant_id,
        "bots": [request.bot_id for request in done],
        "generations": [request.generation for request in done],
    }
    rows = session.execute(_RELEASE, bounds)
    return {row.bot_id: bytes(row.task_token) for row in rows if row.task_token is not None}


def overtaken(session: Session, tenant_id: str, held: Sequence[HeldTarget]) -> set[str]:
    """Return those of the held bots that were cancelled or moved since they were armed."""
    bounds = {
        "tenant_id": tenant_id,
        "bots": [one.bot_id for one in held],
        "generations": [one.generation for one in held],
        "instants": [one.dispatch_at for one in held],
        "digests": [one.target_digest for one in held],
    }
    return set(session.execute(_OVERTAKEN, bounds).scalars())


def other_holders(session: Session, holder: int) -> list[int]:
    """Return the other processes that hold bots. Call it inside `Database.relay`."""
    return list(session.execute(_OTHER_HOLDERS, {"holder": holder}).scalars())


def take_over(session: Session, holder: int, dead: int) -> list[DispatchRequest]:
    """Take the bots of a dead process. Call it inside `Database.relay`."""
    return [_request(row) for row in session.execute(_TAKE_OVER, {"holder": holder, "dead": dead})]


def held_by(session: Session, holder: int) -> list[DispatchRequest]:
    """Return the bots that this process holds. Call it inside `Database.relay`."""
    return [_request(row) for row in session.execute(_HELD_BY, {"holder": holder})]


def overlooked(session: Session, *, since: datetime, until: datetime, most: int) -> list[DispatchRequest]:
    """Return scheduled bots due then that nobody holds. Call it inside `Database.relay`."""
    rows = session.execute(_OVERLOOKED, {"since": since, "until": until, "most": most})
    return [_request(row) for row in rows]


def count_due(session: Session, *, since: datetime, until: datetime, most: int) -> int:
    """Return how many bots of all tenants are due then, at most ``most``.

    Call it inside `Database.relay`.
    """
    return int(session.execute(_DUE_TOGETHER, {"since": since, "until": until, "most": most}).scalar_one())


def _request(row: Row[Any]) -> DispatchRequest:
    return DispatchRequest(row.tenant_id, row.meeting_key, row.bot_id, row.generation, row.wait_is_over)
