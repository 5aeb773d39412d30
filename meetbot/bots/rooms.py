"""Let meetings that overlap in one room share one bot (decision 0029).

Only a bot that is in the room, or on its way, is shared: a meeting whose bot may be moved or cancelled before that keeps
nobody else's away. Callers hold the lock of the room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.bots import changes
from meetbot.bots.claims import claim_that_leads, counting_claims, lead_time
from meetbot.domain.bot_lifecycle import SharedBot
from meetbot.domain.bot_state import BotState
from meetbot.domain.dispatch_state import DispatchState, is_being_recalled
from meetbot.domain.rooms import OCCUPYING_STATES, SHARED, Occupant, Schedule, occupant_for, room_id
from meetbot.storage import bots, rooms
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.rooms import Sharer
from meetbot.storage.tables import Bot, Meeting
from meetbot.temporal.messages import MeetingRef

# Its backend has it for certain, and it has not left the call.
_GIVEN_ON = (BotState.DISPATCHED, BotState.JOINING, BotState.IN_CALL, BotState.RECORDING)


def is_in_room(session: Session, bot: Bot) -> bool:
    """Return whether a bot is in its room, may be, or is on its way."""
    if bot.state is not BotState.MISSED:
        return bot.state in OCCUPYING_STATES
    # Missed, but no answer says that its backend does not have it.
    dispatch = bots.dispatch_of(session, bot)
    return dispatch is not None and dispatch.state is DispatchState.INTENDED


def occupant_of(session: Session, bot: Bot, found: Iterable[Bot]) -> Occupant | None:
    """Return the bot that a meeting is to share in place of its own, which is about to be sent.

    ``found`` are the rows with its room that `meetbot.storage.rooms.in_rooms` selects, as they are now.
    """
    if bot.room is None or bot.state is not BotState.SCHEDULED:
        # What was asked for already may be in the room itself.
        return None
    schedules: dict[str, list[Schedule]] = {}
    for row in found:
        occupant_id = row.shared_bot_id if row.outcome == SHARED else row.id
        if row.meeting_key != bot.meeting_key and occupant_id is not None:
            schedules.setdefault(occupant_id, []).append(Schedule(row.join_at, row.end_at))
    present = [Occupant(id_, times) for id_, times in schedules.items() if _is_present(session, bot, id_)]
    return occupant_for(Schedule(bot.join_at, bot.end_at), present)


def _is_present(session: Session, bot: Bot, occupant_id: str) -> bool:
    occupant = session.get(Bot, (bot.tenant_id, occupant_id))
    return occupant is not None and occupant.room == bot.room and is_in_room(session, occupant)


def shared_bot_of(session: Session, bot: Bot | None) -> tuple[Bot, SharedBot] | None:
    """Return the bot that serves the meeting of this one in its place, None if none ever did."""
    if bot is None or bot.outcome != SHARED or bot.shared_bot_id is None:
        return None
    shared = session.get(Bot, (bot.tenant_id, bot.shared_bot_id), populate_existing=True)
    if shared is None:
        return None
    # Sent again, it may have gone to another room. An erasure takes the room from the row of its meeting.
    is_here = shared.room in (bot.room, None) and is_in_room(session, shared)
    has_completed = shared.state in (BotState.FINALIZING, BotState.COMPLETED)
    return shared, SharedBot(is_here, has_completed, shared.join_at, shared.end_at)


def lock_for_recall(session: Session, ref: MeetingRef) -> Sequence[Sharer]:
    """Lock the room of the meeting's bot, and all meetings that share the bot; return those."""
    latest = rooms.latest_in_room(session, ref.tenant_id, ref.meeting_key)
    if latest is None:
        return ()
    rooms.lock_rooms(session, [latest.room])
    sharers = rooms.sharers_of(session, ref.tenant_id, latest.bot_id)
    if sharers:
        bots.lock_meetings(session, ref.tenant_id, {ref.meeting_key, *(sharer.meeting_key for sharer in sharers)})
    return sharers


def hand_over(session: Session, bot: Bot, sharers: Sequence[Sharer], default_lead: timedelta, *, now: datetime) -> bool:
    """Give a bot that its own meeting would recall to the first other that still wants it.

    Return whether there is one among the ``sharers``. Not if its backend may not have it, or is told already to take it back.
    """
    lead = lead_time(session, bot.tenant_id, default_lead)
    dispatch = bots.dispatch_of(session, bot)
    if bot.state not in _GIVEN_ON or dispatch is None or dispatch.state is not DispatchState.ACCEPTED:
        return False
    if is_being_recalled(dispatch.state, dispatch.recalled_at):
        return False
    for sharer in sharers:
        heir = bots.lock_meeting(session, bot.tenant_id, sharer.meeting_key)
        leader = _still_wanting(session, heir, sharer, lead=lead, now=now)
        if leader is not None:
            changes.hand_over(session, bot, dispatch, heir, leader, lead=lead, now=now)
            return True
    return False


def _still_wanting(
    session: Session, heir: Meeting, sharer: Sharer, *, lead: timedelta, now: datetime
) -> ClaimCopy | None:
    """Return the claim for which a meeting still wants the bot that it shares, or None."""
    if heir.suppressed_at is not None:
        return None
    claims = counting_claims(session, MeetingRef(heir.tenant_id, heir.meeting_key), now)
    leader = claim_that_leads(claims, heir, None)
    if leader is None or leader.end_at <= now or abs(leader.start_at - sharer.join_at) > lead:
        return None
    room = room_id(heir.tenant_id, leader.meeting_platform, leader.meeting_id)
    return leader if room is not None and room == sharer.room else None


def wake_sharers(session: Session, bot: Bot, now: datetime) -> tuple[str, ...]:
    """Return the meetings that shared a bot which has left the room, and may need their own.

    Their claims are made again at the next sync, so that a workflow that was lost comes back too.
    """
    keys = [one.meeting_key for one in rooms.sharers_of(session, bot.tenant_id, bot.id) if one.end_at > now]
    rooms.claim_meetings_again(session, bot.tenant_id, keys)
    return tuple(sorted(keys))
