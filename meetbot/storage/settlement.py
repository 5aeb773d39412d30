"""Claims whose meeting is to be settled anew at the next sync of their calendars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.bot_state import SENT_STATES
from meetbot.storage import columns
from meetbot.storage.bots import ClaimCopy

_IS_SENT = columns.one_of("bot.state", SENT_STATES)

_DISAGREEING = text(
    """
    update bot_claim set unsettled_at = coalesce(unsettled_at, :now)
     where tenant_id = :tenant_id and meeting_key = :meeting_key and calendar_user_id = any(:users)
    """
)

# A bot that has been sent stays: only meetings whose own bot is still to go join another.
_MAY_REJOIN = text(
    f"""
    update bot_claim claim set unsettled_at = coalesce(claim.unsettled_at, :now)
      from calendar_event e
     where e.tenant_id = :tenant_id and e.shared_key = :meeting_key and e.meeting_key <> :meeting_key
       and not e.deleted and e.outcome = 'record' and e.start_at = :start_at
       and case when e.meeting_id <> '' then e.meeting_platform = :platform and e.meeting_id = :meeting_id
                else e.meeting_url = :url end
       and claim.tenant_id = e.tenant_id and claim.meeting_key = e.meeting_key and claim.event_id = e.id
       and not exists (
           select 1 from bot
            where bot.tenant_id = e.tenant_id and bot.meeting_key = e.meeting_key
              and {_IS_SENT})
    returning claim.calendar_user_id
    """  # noqa: S608 - nothing but our own text
)


def unsettle(
    session: Session, leader: ClaimCopy, tenant_id: str, disagreeing: Sequence[str], *, now: datetime
) -> set[str]:
    """Mark the claims that the leader's meeting is to lose or may win; return their users.

    These are the ``disagreeing`` users' on the meeting itself, and those of copies with the same shared key that agree with
    the leading one by now.
    """
    values = {"tenant_id": tenant_id, "meeting_key": leader.meeting_key, "now": now}
    if disagreeing:
        session.execute(_DISAGREEING, values | {"users": list(disagreeing)})
    place = {
        "start_at": leader.start_at,
        "platform": leader.meeting_platform,
        "meeting_id": leader.meeting_id,
        "url": leader.meeting_url,
    }
    return {*disagreeing, *session.execute(_MAY_REJOIN, values | place).scalars()}


_SENT = text(
    f"""
    select distinct meeting_key from bot
     where tenant_id = :tenant_id and meeting_key = any(:meeting_keys)
       and {_IS_SENT}
    """  # noqa: S608 - nothing but our own text
)


def meetings_with_sent_bots(session: Session, tenant_id: str, meeting_keys: Sequence[str]) -> frozenset[str]:
    """Return those of the meetings whose bot is on its way or in the call."""
    if not meeting_keys:
        return frozenset()
    return frozenset(session.execute(_SENT, {"tenant_id": tenant_id, "meeting_keys": list(meeting_keys)}).scalars())
