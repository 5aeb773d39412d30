"""Meetings, bots and dispatches: the rows that exactly-once rests on.

Callers that change one hold the meeting's row lock (`lock_meeting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col, select

from meetbot.domain import bot_state, dispatch_state
from meetbot.domain.bot_event import EventOfBot
from meetbot.domain.bot_history import Cause
from meetbot.domain.bot_state import LIVE_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.storage import columns
from meetbot.storage.bot_transitions import note_change
from meetbot.storage.tables import Bot, Dispatch, Meeting

_LOCK_MEETING = text(
    """
    insert into meeting (tenant_id, meeting_key, generation) values (:tenant_id, :meeting_key, 0)
    on conflict (tenant_id, meeting_key) do nothing
    """
)


def lock_meeting(session: Session, tenant_id: str, meeting_key: str) -> Meeting:
    """Return the meeting's row, made if there is none, locked until the transaction ends."""
    session.execute(_LOCK_MEETING, {"tenant_id": tenant_id, "meeting_key": meeting_key})
    return session.exec(
        select(Meeting).where(Meeting.tenant_id == tenant_id, Meeting.meeting_key == meeting_key).with_for_update()
    ).one()


def lock_meetings(session: Session, tenant_id: str, meeting_keys: Iterable[str]) -> dict[str, Meeting]:
    """Return these meetings by key, locked in the order of their keys.

    Those without a row are left out.
    """
    rows = session.exec(
        select(Meeting)
        .where(Meeting.tenant_id == tenant_id, col(Meeting.meeting_key).in_(sorted(meeting_keys)))
        .order_by(Meeting.meeting_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {meeting.meeting_key: meeting for meeting in rows}


def latest_bot(session: Session, tenant_id: str, meeting_key: str) -> Bot | None:
    """Return the meeting's bot of the highest generation, or None."""
    return session.exec(
        select(Bot)
        .where(Bot.tenant_id == tenant_id, Bot.meeting_key == meeting_key)
        .order_by(col(Bot.generation).desc())
        .limit(1)
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class ClaimCopy:
    """A claim with the claimant's copy of the event and the state of the claimant's connection.

    It names who led the meeting last, and where and when its live bot joins, if there is one.
    """

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
    organizer: str | None
    meeting_platform: str
    meeting_id: str | None
    shared_key: str
    meeting_key: str
    claimed_at: datetime
    leader_calendar_user_id: str | None
    bot_url: str | None
    bot_join_at: datetime | None

    @property
    def keys(self) -> tuple[str, str]:
        """Return the shared key and the meeting key."""
        return self.shared_key, self.meeting_key


_IS_LIVE = columns.one_of("bot.state", LIVE_STATES)
_COPIES = text(
    f"""
    select c.calendar_user_id, u.customer_user_id, u.state, u.state_changed_at, u.last_synced_at, c.event_id,
           c.target_digest, c.acknowledged_digest, e.calendar_id, e.provider_event_id, e.start_at, e.end_at,
           e.meeting_url, e.provider_updated, e.is_organizer, e.organizer->>'email', e.meeting_platform, e.meeting_id,
           e.shared_key, e.meeting_key, c.created_at, m.leader_calendar_user_id,
           bot.meeting_url, bot.join_at
      from bot_claim c
      join calendar_user u on u.tenant_id = c.tenant_id and u.id = c.calendar_user_id
      join calendar_event e on e.tenant_id = c.tenant_id and e.id = c.event_id
      left join meeting m on m.tenant_id = c.tenant_id and m.meeting_key = c.meeting_key
      left join bot on bot.tenant_id = c.tenant_id and bot.meeting_key = c.meeting_key and {_IS_LIVE}
     where c.tenant_id = :tenant_id and c.meeting_key = any(:meeting_keys)
       and not e.deleted and e.outcome = 'record' and e.meeting_key = c.meeting_key
       and e.start_at is not null and e.end_at is not null and e.meeting_url is not null
     order by c.calendar_user_id
    """  # noqa: S608 - nothing but our own text
)


def claim_copies(session: Session, tenant_id: str, meeting_keys: Iterable[str]) -> list[ClaimCopy]:
    """Return the claims on these meetings whose event is still to be recorded, as last stored."""
    rows = session.execute(_COPIES, {"tenant_id": tenant_id, "meeting_keys": sorted(meeting_keys)})
    return [ClaimCopy(*row) for row in rows]


_ACKNOWLEDGE = text(
    """
    update bot_claim claim set acknowledged_digest = read.digest
      from bot_claim mine
      left join unnest(cast(:users as text[]), cast(:digests as text[])) read (calendar_user_id, digest)
             on read.calendar_user_id = mine.calendar_user_id
     where mine.tenant_id = :tenant_id and mine.meeting_key = :meeting_key
       and claim.tenant_id = mine.tenant_id and claim.meeting_key = mine.meeting_key
       and claim.calendar_user_id = mine.calendar_user_id
       and claim.acknowledged_digest is distinct from read.digest
    """
)


def acknowledge(session: Session, tenant_id: str, meeting_key: str, targets: Mapping[str, str]) -> None:
    """Store, by calendar user, the digest of the target that the bot was reconciled with.

    It differs from the claim's own if a re-check has found something new, and is null for a claim whose event is not to be
    recorded any more. So a calendar that goes back to what was claimed makes its claim again.
    """
    session.execute(
        _ACKNOWLEDGE,
        {
            "tenant_id": tenant_id,
            "meeting_key": meeting_key,
            "users": list(targets.keys()),
            "digests": list(targets.values()),
        },
    )


_EVENT = text(
    "select outcome, reason, start_at from calendar_event where tenant_id = :tenant_id and id = :event_id and not deleted"
)


def event_of(session: Session, bot: Bot) -> EventOfBot | None:
    """Return the event that the bot was made for, or None if it is cancelled or gone."""
    row = session.execute(_EVENT, {"tenant_id": bot.tenant_id, "event_id": bot.event_id}).one_or_none()
    return EventOfBot(row.outcome, row.reason, row.start_at, bot.dispatch_at) if row is not None else None


def dispatch_of(session: Session, bot: Bot) -> Dispatch | None:
    """Return the dispatch of the bot's present generation, or None if it was not to be sent yet."""
    return session.get(Dispatch, (bot.tenant_id, bot.meeting_key, bot.generation))


def move_bot(bot: Bot, state: BotState, cause: Cause) -> None:
    """Change a bot's state, as nothing else does, and add the change to its history.

    Raises `IllegalTransition` for a change that `BOT_TRANSITIONS` does not allow.
    """
    before = bot.state
    bot.state = bot_state.followed_by(before, state)
    note_change(bot, before, cause)


def move_dispatch(dispatch: Dispatch, state: DispatchState) -> None:
    """Change a dispatch's state, as nothing else does.

    Raises `IllegalTransition` for a change that `DISPATCH_TRANSITIONS` does not allow.
    """
    dispatch.state = dispatch_state.followed_by(dispatch.state, state)


# What the bots were before is what this statement sees of them.
_INTEND = text(
    """
    with asked as (
      select * from unnest(cast(:bots as text[]), cast(:keys as text[]), cast(:generations as int[]),
                           cast(:external_ids as text[])) asked (bot_id, meeting_key, generation, external_id)),
    moved as (
      update bot set state = cast(:dispatching as text), transitions = bot.transitions + 1
        from asked where bot.tenant_id = :tenant_id and bot.id = asked.bot_id),
    noted as (
      insert into bot_transition
             (tenant_id, bot_id, number, at, change, generation, from_state, to_state, source, code, dispatch_at)
      select bot.tenant_id, bot.id, bot.transitions + 1, :at, :change, bot.generation, bot.state, cast(:dispatching as text),
             :source, :code, bot.dispatch_at
        from asked join bot on bot.tenant_id = :tenant_id and bot.id = asked.bot_id)
    insert into dispatch (tenant_id, meeting_key, generation, bot_id, external_id, state, requested_at)
    select :tenant_id, meeting_key, generation, bot_id, external_id, :intended, :at from asked
    """
)


def begin_to_ask(bot: Bot) -> None:
    """Have a bot be dispatching for whoever looks at the object, before `intend` stores that.

    Raises `IllegalTransition` as `move_bot` does.
    """
    set_committed_value(bot, "state", bot_state.followed_by(bot.state, BotState.DISPATCHING))
    set_committed_value(bot, "transitions", bot.transitions + 1)


def intend(session: Session, tenant_id: str, asked: Mapping[str, Bot], cause: Cause) -> None:
    """Store that the backend is about to be asked for these bots for the first time.

    It is added to their histories. They come by external id, each after `begin_to_ask`. One statement for all.
    """
    if not asked:
        return
    bound = asked.values()
    bounds = {
        "tenant_id": tenant_id,
        "bots": [bot.id for bot in bound],
        "keys": [bot.meeting_key for bot in bound],
        "generations": [bot.generation for bot in bound],
        "external_ids": list(asked),
        "dispatching": BotState.DISPATCHING,
        "intended": DispatchState.INTENDED,
        "at": cause.at,
        "change": cause.change,
        "source": cause.source,
        "code": cause.code,
    }
    session.execute(_INTEND, bounds)


def touch(bot: Bot, now: datetime) -> None:
    """Count a change of the bot that customers can see."""
    bot.sequence += 1
    bot.updated_at = now


_AUDIENCES = text(
    """
    select asked.bot_id, found.calendar_user_id, found.customer_user_id, found.event_id
      from unnest(cast(:bots as text[]), cast(:keys as text[]), cast(:events as text[])) asked (bot_id, meeting_key, event_id)
     cross join lateral (
           select distinct e.calendar_user_id, u.customer_user_id, e.id as event_id
             from (select asked.meeting_key, asked.event_id
                    union all
                   select own.meeting_key, own.event_id from bot own
                    where own.tenant_id = :tenant_id and own.shared_bot_id = asked.bot_id and own.outcome = 'shared'
                  ) served
             join calendar_event e on e.tenant_id = :tenant_id and e.meeting_key = served.meeting_key
              and (e.outcome = 'record' or e.id = served.event_id)
             join calendar_user u on u.tenant_id = e.tenant_id and u.id = e.calendar_user_id
            order by 1, 3
            limit 500) found
    """
)


def audience(session: Session, bot: Bot) -> dict[str, Any]:
    """Return the ids of the users and events whose recording it is, as webhooks carry them."""
    return audiences(session, bot.tenant_id, [bot])[bot.id]


def audiences(session: Session, tenant_id: str, of: Sequence[Bot]) -> dict[str, dict[str, Any]]:
    """Return by bot the ids of the users and events whose recording it is."""
    bounds = {
        "tenant_id": tenant_id,
        "bots": [bot.id for bot in of],
        "keys": [bot.meeting_key for bot in of],
        "events": [bot.event_id for bot in of],
    }
    found: dict[str, list[Row[Any]]] = {bot.id: [] for bot in of}
    for row in session.execute(_AUDIENCES, bounds):
        found[row.bot_id].append(row)
    return {
        bot_id: {
            "meetbot_calendar_user_ids": sorted({row.calendar_user_id for row in rows}),
            "customer_user_ids": sorted({row.customer_user_id for row in rows}),
            "event_ids": sorted({row.event_id for row in rows}),
        }
        for bot_id, rows in found.items()
    }
