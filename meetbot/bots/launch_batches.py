"""The intents and acceptances of many bots of one tenant, each batch in one transaction.

What is checked and stored for each is what `meetbot.bots.dispatches` does for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, false
from sqlmodel import Session, col, or_, select

from meetbot.backends.base import BotRequest
from meetbot.bots import changes, dispatches
from meetbot.bots.claims import claim_that_leads, counting_of, target_of
from meetbot.bots.dispatches import Intent, backend_request, is_awaited
from meetbot.bots.rooms import occupant_of
from meetbot.domain.dispatch_state import DispatchState
from meetbot.domain.event_types import WebhookEventType
from meetbot.storage import bots, rooms
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Bot, Dispatch, Meeting, Tenant
from meetbot.temporal.messages import DispatchRequest

_NO_OTHERS = false()
Stands = Callable[[ClaimCopy], bool]
"""Whether the claim's event is still decided as stored, by the rules and overrides that hold now."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A bot that is about to be asked for, and the target that was re-checked.

    ``room`` and ``join_at`` are the target's too.
    """

    request: DispatchRequest
    target_digest: str
    room: str | None
    join_at: datetime


@dataclass(frozen=True, slots=True)
class Intended:
    """A bot whose intent is stored: the backend is to be asked for it."""

    request: DispatchRequest
    intent: Intent
    wanted: BotRequest


@dataclass(frozen=True, slots=True)
class Accepted:
    """A bot that the backend says it has, by the backend's id."""

    request: DispatchRequest
    backend_bot_id: str
    asked_at: datetime


@dataclass(slots=True)
class _Batch:
    """The rows of a batch by bot: meetings locked, bots and dispatches as they are now.

    ``in_rooms`` are these and other bots by their room.
    """

    meetings: dict[str, Meeting]
    bots: dict[str, Bot]
    in_rooms: dict[str | None, list[Bot]]
    dispatches: dict[tuple[str, int], Dispatch]

    def dispatch_for(self, bot: Bot) -> Dispatch | None:
        return self.dispatches.get((bot.meeting_key, bot.generation))


def write_intents(
    session: Session, tenant_id: str, launches: Sequence[Launch], now: datetime, *, stands: Stands
) -> list[Intended | None]:
    """Store the intent for each bot; None if its meeting has changed, or shares another's bot."""
    locked = rooms.lock_rooms(session, (launch.room for launch in launches))
    since = min((launch.join_at for launch in launches), default=now)
    batch = _load(session, tenant_id, [launch.request for launch in launches], rooms.in_rooms(locked, since))
    # Held on to, since a session forgets what nobody does and reads it again for each bot.
    tenant = session.get_one(Tenant, tenant_id)
    grace = timedelta(hours=tenant.revoked_grace_hours)
    copies: dict[str, list[ClaimCopy]] = {}
    for copy in bots.claim_copies(session, tenant_id, batch.meetings):
        copies.setdefault(copy.meeting_key, []).append(copy)
    written: list[Intended | None] = []
    first: list[Bot] = []
    sharing: list[Bot] = []
    for launch in launches:
        claims = counting_of(copies.get(launch.request.meeting_key, ()), grace=grace, now=now)
        bot = _as_rechecked(batch, launch, claims, stands)
        if bot is None:
            written.append(None)
            continue
        occupant = occupant_of(session, bot, batch.in_rooms[bot.room])
        if occupant is not None:
            changes.mark_shared(bot, occupant.bot_id, now)
            sharing.append(bot)
            written.append(None)
            continue
        earlier = batch.dispatch_for(bot)
        if earlier is None:
            first.append(bot)
            # Stored below with the others'. The next meeting in the same room must find it on its way already.
            intent = dispatches.begin_first_intent(bot, now)
        else:
            intent = dispatches.write_intent_again(bot, earlier, now)
        written.append(Intended(launch.request, intent, backend_request(bot, tenant)))
    dispatches.write_first_intents(session, tenant_id, first, now)
    changes.announce_all(session, tenant_id, sharing, WebhookEventType.BOT_CANCELLED)
    return written


def _as_rechecked(batch: _Batch, launch: Launch, claims: list[ClaimCopy], stands: Stands) -> Bot | None:
    """Return the bot if it is still to go as it was re-checked."""
    meeting, bot = batch.meetings.get(launch.request.meeting_key), batch.bots.get(launch.request.bot_id)
    if meeting is None or bot is None or meeting.suppressed_at is not None or not is_awaited(bot, launch.request):
        return None
    leader = claim_that_leads(claims, meeting, bot)
    if leader is None or not stands(leader):
        return None
    return bot if target_of(leader).digest == bot.target_digest == launch.target_digest else None


def record_acceptances(session: Session, tenant_id: str, accepted: Sequence[Accepted]) -> list[bool]:
    """Store that the backend has these bots; False for each that must be recalled."""
    batch = _load(session, tenant_id, [one.request for one in accepted])
    sent, wanted = [], []
    for one in accepted:
        bot = batch.bots[one.request.bot_id]
        dispatch = batch.dispatches[(one.request.meeting_key, one.request.generation)]
        if dispatches.is_accepted_or_unwanted(bot, dispatch, one.request, one.backend_bot_id):
            wanted.append(dispatch.state is DispatchState.ACCEPTED)
            continue
        changes.mark_accepted(bot, dispatch, one.backend_bot_id, at=one.asked_at)
        sent.append(bot)
        wanted.append(True)
    changes.announce_all(session, tenant_id, sent, WebhookEventType.BOT_DISPATCHED)
    return wanted


def _load(
    session: Session, tenant_id: str, requests: Sequence[DispatchRequest], others: ColumnElement[bool] = _NO_OTHERS
) -> _Batch:
    keys = {request.meeting_key for request in requests}
    meetings = bots.lock_meetings(session, tenant_id, keys)
    # Read after the lock, so that they are what the last change under it left.
    found = session.exec(
        select(Bot).where(
            Bot.tenant_id == tenant_id, or_(col(Bot.id).in_({request.bot_id for request in requests}), others)
        )
    )
    by_id = {bot.id: bot for bot in found}
    in_rooms: dict[str | None, list[Bot]] = {}
    for bot in by_id.values():
        in_rooms.setdefault(bot.room, []).append(bot)
    asked = session.exec(select(Dispatch).where(Dispatch.tenant_id == tenant_id, col(Dispatch.meeting_key).in_(keys)))
    return _Batch(
        meetings=meetings,
        bots=by_id,
        in_rooms=in_rooms,
        dispatches={(dispatch.meeting_key, dispatch.generation): dispatch for dispatch in asked},
    )
