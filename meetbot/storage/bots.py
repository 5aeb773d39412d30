"""Meetings, bots and dispatches: the rows that exactly-once rests on. Callers hold the meeting's row lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.storage.tables import Bot, Dispatch, Meeting

_LOCK_MEETING = text(
    """
    insert into meeting (tenant_id, meeting_key, generation) values (:tenant_id, :meeting_key, 0)
    on conflict (tenant_id, meeting_key) do nothing
    """
)


def lock_meeting(session: Session, tenant_id: str, meeting_key: str) -> Meeting:
    """The meeting's row, created where there is none, locked until the transaction ends."""
    session.execute(_LOCK_MEETING, {"tenant_id": tenant_id, "meeting_key": meeting_key})
    return session.exec(
        select(Meeting).where(Meeting.tenant_id == tenant_id, Meeting.meeting_key == meeting_key).with_for_update()
    ).one()


def latest_bot(session: Session, tenant_id: str, meeting_key: str) -> Bot | None:
    return session.exec(
        select(Bot)
        .where(Bot.tenant_id == tenant_id, Bot.meeting_key == meeting_key)
        .order_by(col(Bot.generation).desc())
        .limit(1)
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class ClaimCopy:
    """A claim with the claimant's copy of the event and the claimant's standing."""

    calendar_user_id: str
    customer_user_id: str
    user_state: str
    state_changed_at: datetime
    last_synced_at: datetime | None
    event_id: str
    target_digest: str
    acknowledged_digest: str | None
    calendar_id: str
    provider_event_id: str
    start_at: datetime
    end_at: datetime
    meeting_url: str
    provider_updated: datetime | None
    is_organizer: bool
    doubted_at: datetime | None

    @property
    def is_doubted(self) -> bool:
        """Somebody else's copy contradicted it when its provider could not be asked, and it was not read since."""
        if self.doubted_at is None:
            return False
        return self.last_synced_at is None or self.last_synced_at < self.doubted_at


_COPIES = text(
    """
    select c.calendar_user_id, u.customer_user_id, u.state, u.state_changed_at, u.last_synced_at, c.event_id,
           c.target_digest, c.acknowledged_digest, e.calendar_id, e.provider_event_id, e.start_at, e.end_at,
           e.meeting_url, e.provider_updated, e.is_organizer, c.doubted_at
      from bot_claim c
      join calendar_user u on u.tenant_id = c.tenant_id and u.id = c.calendar_user_id
      join calendar_event e on e.tenant_id = c.tenant_id and e.id = c.event_id
     where c.tenant_id = :tenant_id and c.meeting_key = :meeting_key
       and not e.deleted and e.outcome = 'record' and e.meeting_key = c.meeting_key
       and e.start_at is not null and e.end_at is not null and e.meeting_url is not null
     order by c.calendar_user_id
    """
)


def claim_copies(session: Session, tenant_id: str, meeting_key: str) -> list[ClaimCopy]:
    """The claims whose event still stands, as last stored."""
    rows = session.execute(_COPIES, {"tenant_id": tenant_id, "meeting_key": meeting_key})
    return [ClaimCopy(*row) for row in rows]


_ACKNOWLEDGE = text(
    """
    update bot_claim claim set acknowledged_digest = taken.digest
      from bot_claim mine
      left join unnest(cast(:users as text[]), cast(:digests as text[])) taken (calendar_user_id, digest)
             on taken.calendar_user_id = mine.calendar_user_id
     where mine.tenant_id = :tenant_id and mine.meeting_key = :meeting_key
       and claim.tenant_id = mine.tenant_id and claim.meeting_key = mine.meeting_key
       and claim.calendar_user_id = mine.calendar_user_id
       and claim.acknowledged_digest is distinct from taken.digest
    """
)


def acknowledge(session: Session, tenant_id: str, meeting_key: str, taken: Mapping[str, str]) -> None:
    """Note what was taken in: by calendar user, the digest of the target as read.

    It may be another than the claim's where a re-check has found something new, and a claim whose event does not stand is
    taken in by nobody: where the calendar then goes back to what was claimed, the claim must be made again.
    """
    session.execute(
        _ACKNOWLEDGE,
        {
            "tenant_id": tenant_id,
            "meeting_key": meeting_key,
            "users": list(taken.keys()),
            "digests": list(taken.values()),
        },
    )


_DOUBT = text(
    """
    update bot_claim set doubted_at = :now
     where tenant_id = :tenant_id and meeting_key = :meeting_key and calendar_user_id = any(:users)
    """
)


def doubt(session: Session, tenant_id: str, meeting_key: str, users: Sequence[str], *, now: datetime) -> None:
    """Have claims not count until their calendars are read again."""
    session.execute(_DOUBT, {"tenant_id": tenant_id, "meeting_key": meeting_key, "users": list(users), "now": now})


_DOUBT_CONTRADICTED = text(
    # A copy that only left a calendar has no fingerprint (`tombstone_events`) and is no witness.
    """
    update bot_claim claim set doubted_at = :now
      from calendar_user u
     where claim.tenant_id = :tenant_id and claim.meeting_key = :meeting_key
       and u.tenant_id = claim.tenant_id and u.id = claim.calendar_user_id
       and (claim.doubted_at is null or claim.doubted_at <= u.last_synced_at)
       and exists (
           select 1 from calendar_event e
            where e.tenant_id = claim.tenant_id and e.meeting_key = claim.meeting_key
              and e.calendar_user_id <> claim.calendar_user_id
              and e.deleted and e.fingerprint <> '' and e.updated_at > u.last_synced_at)
    returning claim.calendar_user_id
    """
)


def doubt_contradicted(session: Session, tenant_id: str, meeting_key: str, *, now: datetime) -> bool:
    """Doubt the claims whose calendars were last read before somebody else's copy turned out to be cancelled."""
    bounds = {"tenant_id": tenant_id, "meeting_key": meeting_key, "now": now}
    return session.execute(_DOUBT_CONTRADICTED, bounds).first() is not None


@dataclass(frozen=True, slots=True)
class StandingEvent:
    """The event that a bot was made for, as it is decided now."""

    outcome: str
    reason: str
    was_moved_before: bool
    """Before the time for which the bot was made: what is over then has not taken place without it."""

    @property
    def is_over(self) -> bool:
        return self.outcome == "skip" and self.reason == "ended" and not self.was_moved_before

    @property
    def is_expected(self) -> bool:
        """Nothing speaks against recording it, or against its having been recorded."""
        return self.outcome == "record" or self.is_over

    @property
    def is_left_out_by_rules(self) -> bool:
        """The meeting stands as it did; only rules (or what they go by) say otherwise now."""
        return self.outcome == "skip" and self.reason in ("rule_matched", "no_rule_matched")


_STANDING_EVENT = text(
    "select outcome, reason, start_at from calendar_event where tenant_id = :tenant_id and id = :event_id and not deleted"
)


def standing_event(session: Session, bot: Bot) -> StandingEvent | None:
    """The event that the bot was made for. None where it was cancelled or has left the calendar."""
    row = session.execute(_STANDING_EVENT, {"tenant_id": bot.tenant_id, "event_id": bot.event_id}).one_or_none()
    if row is None:
        return None
    outcome, reason, start_at = row
    return StandingEvent(outcome, reason, start_at is None or start_at < bot.dispatch_at)


def dispatch_of(session: Session, bot: Bot) -> Dispatch | None:
    """The dispatch of the bot's present generation."""
    return session.get(Dispatch, (bot.tenant_id, bot.meeting_key, bot.generation))


def touch(bot: Bot, now: datetime) -> None:
    """Every change that customers can see moves the bot's sequence on."""
    bot.sequence += 1
    bot.updated_at = now


_AUDIENCE = text(
    """
    select distinct e.calendar_user_id, u.customer_user_id, e.id
      from calendar_event e join calendar_user u on u.tenant_id = e.tenant_id and u.id = e.calendar_user_id
     where e.tenant_id = :tenant_id and e.meeting_key = :meeting_key
       and (e.outcome = 'record' or e.id = :event_id)
     order by 1, 3
     limit 500
    """
)


def audience(session: Session, bot: Bot) -> dict[str, Any]:
    """Whose recording it is: what is added to what a backend says of a bot."""
    rows = session.execute(
        _AUDIENCE,
        {"tenant_id": bot.tenant_id, "meeting_key": bot.meeting_key, "event_id": bot.event_id},
    ).all()
    return {
        "meetbot_calendar_user_ids": sorted({row[0] for row in rows}),
        "customer_user_ids": sorted({row[1] for row in rows}),
        "event_ids": sorted({row[2] for row in rows}),
    }


def claimants(session: Session, tenant_id: str, meeting_key: str) -> list[str]:
    rows = session.execute(
        text(
            "select calendar_user_id from bot_claim where tenant_id = :tenant_id and meeting_key = :meeting_key order by 1"
        ),
        {"tenant_id": tenant_id, "meeting_key": meeting_key},
    )
    return [row[0] for row in rows]
