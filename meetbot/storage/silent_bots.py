"""Bots that were sent and of which nothing was heard for a while, of all tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.bot_state import BotState


@dataclass(frozen=True, slots=True)
class SilentBot:
    """A bot as it is when its backend is asked about it."""

    tenant_id: str
    id: str
    meeting_key: str
    generation: int
    backend_bot_id: str
    state: BotState
    recorded_seconds: int | None
    end_at: datetime


# Often on the way in and once the meeting should be over, seldom between. Marked when they are taken, so that no other process
# asks about them too; one that dies meanwhile leaves them for the next time.
_TAKE = text(
    """
    update bot set heard_at = :now
     where (tenant_id, id) in (
           select tenant_id, id from bot
            where state in ('scheduled', 'dispatching', 'dispatched', 'joining', 'in_call', 'recording', 'finalizing')
              and state in ('dispatched', 'joining', 'in_call', 'recording', 'finalizing') and backend_bot_id is not null
              and dispatch_at < cast(:now as timestamptz) - interval '1 minute'
              and coalesce(heard_at, dispatch_at) < cast(:now as timestamptz) - case
                  when state in ('in_call', 'recording') and end_at > :now then interval '10 minutes'
                  else interval '1 minute' end
            order by coalesce(heard_at, dispatch_at)
            limit :most
              for update skip locked)
    returning tenant_id, id, meeting_key, generation, backend_bot_id, state, recorded_seconds, end_at
    """
)


_UNWANTED = text(
    """
    select bot.meeting_key
      from bot join meeting on meeting.tenant_id = bot.tenant_id and meeting.meeting_key = bot.meeting_key
     where bot.tenant_id = :tenant_id and bot.id = any(:bots) and bot.end_at > :now
       and (meeting.suppressed_at is not null
            or not exists (select 1 from bot_claim claim
                            where claim.tenant_id = bot.tenant_id and claim.meeting_key = bot.meeting_key))
    """
)


def unwanted_meetings(session: Session, tenant_id: str, bot_ids: Sequence[str], now: datetime) -> Sequence[str]:
    """Return the keys of those bots' meetings that nobody wants recorded any more.

    They were cancelled by hand or are claimed by nobody, and are not over.
    """
    bounds = {"tenant_id": tenant_id, "bots": list(bot_ids), "now": now}
    return session.execute(_UNWANTED, bounds).scalars().all()


def take_silent(session: Session, *, now: datetime, most: int) -> Sequence[SilentBot]:
    """Return the bots that were silent for too long, and mark them as heard of.

    Call it inside `Database.relay`.
    """
    rows = session.execute(_TAKE, {"now": now, "most": most}).all()
    return [
        SilentBot(
            tenant_id=row.tenant_id,
            id=row.id,
            meeting_key=row.meeting_key,
            generation=row.generation,
            backend_bot_id=row.backend_bot_id,
            state=BotState(row.state),
            recorded_seconds=row.recorded_seconds,
            end_at=row.end_at,
        )
        for row in rows
    ]
