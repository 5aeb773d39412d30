"""What was recorded, summed up for a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import text
from sqlmodel import Session


class UsageGroup(StrEnum):
    """What usage is summed up by."""

    DAY = "day"
    CALENDAR_USER = "calendar_user"
    CUSTOMER_USER_ID = "customer_user_id"


@dataclass(frozen=True, slots=True)
class Usage:
    """The sums of one group. ``key`` is None for bots whose calendar user is not known any more."""

    key: str | None
    bots: int
    completed: int
    failed: int
    missed: int
    recorded_seconds: int


_KEYS = {
    UsageGroup.DAY: "to_char(bot.join_at at time zone 'UTC', 'YYYY-MM-DD')",
    UsageGroup.CALENDAR_USER: "owner.calendar_user_id",
    UsageGroup.CUSTOMER_USER_ID: "person.customer_user_id",
}
# Each bot counts for one calendar user: the claimant by whose event it was made, else the first, else that event's owner.
_OWNER = """
      left join lateral (
           select coalesce(
                    (select claim.calendar_user_id from bot_claim claim
                      where claim.tenant_id = bot.tenant_id and claim.meeting_key = bot.meeting_key
                      order by claim.event_id <> bot.event_id, claim.created_at, claim.calendar_user_id limit 1),
                    (select event.calendar_user_id from calendar_event event
                      where event.tenant_id = bot.tenant_id and event.id = bot.event_id)) as calendar_user_id
           ) owner on true
      left join calendar_user person on person.tenant_id = bot.tenant_id and person.id = owner.calendar_user_id
"""
_SUMS = """
    select {key} as key, count(*) as bots,
           count(*) filter (where bot.state = 'completed') as completed,
           count(*) filter (where bot.state = 'failed') as failed,
           count(*) filter (where bot.state = 'missed') as missed,
           coalesce(sum(bot.recorded_seconds), 0) as recorded_seconds
      from bot {owner}
     where bot.tenant_id = :tenant_id and bot.join_at >= :since and bot.join_at < :until
       and (bot.dispatched_at is not null or bot.state in ('completed','failed','missed'))
     group by 1 order by 1 nulls last limit :limit
"""


def sum_usage(
    session: Session, tenant_id: str, group: UsageGroup, *, since: datetime, until: datetime, limit: int
) -> list[Usage]:
    """Return the sums of the bots whose meetings started in that time, by group."""
    owner = "" if group is UsageGroup.DAY else _OWNER
    statement = text(_SUMS.format(key=_KEYS[group], owner=owner))
    rows = session.execute(statement, {"tenant_id": tenant_id, "since": since, "until": until, "limit": limit})
    return [Usage(row.key, row.bots, row.completed, row.failed, row.missed, int(row.recorded_seconds)) for row in rows]
