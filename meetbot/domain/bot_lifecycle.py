"""Decide what becomes of a meeting's bot, from what is observed and desired. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.plan import Target


class Action(StrEnum):
    """What is to be done about a meeting's bot.

    `NOTHING`: there is no bot and none is wanted, or the meeting had its bot. `CREATE`: make a bot, also after an earlier one
    has ended. `KEEP`: leave the bot as it is.
    `RESCHEDULE`: give it the new target. `CANCEL`, `MISS`: end it. `RELOCATE`: recall it and send it again.
    `WITHDRAW`: recall it for good. `SHARE`: another meeting's bot, which is in the room, goes on to serve this one. `LEAVE`: it
    serves this one no longer.
    """

    NOTHING = "nothing"
    CREATE = "create"
    KEEP = "keep"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    MISS = "miss"
    RELOCATE = "relocate"
    WITHDRAW = "withdraw"
    SHARE = "share"
    LEAVE = "leave"


_IN_THE_CALL = frozenset({BotState.IN_CALL, BotState.RECORDING})


@dataclass(frozen=True, slots=True)
class SharedBot:
    """The bot of another meeting that served this one too, and when that meeting is planned.

    ``is_in_room``: it is in the room, may be, or is on its way. ``has_completed``: it has done its work and left.
    """

    is_in_room: bool
    has_completed: bool
    join_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class ObservedState:
    """The meeting's latest bot as it is now.

    ``asked_at``: when the backend was last asked for it, if no answer is known. ``being_recalled``: the backend was told to
    take it back, or may have been, and what became of that is not settled. ``shared``: it was not sent, since this other one
    was in the room.
    """

    state: BotState
    join_at: datetime
    end_at: datetime
    dispatch_at: datetime
    meeting_url: str
    asked_at: datetime | None = None
    being_recalled: bool = False
    shared: SharedBot | None = None


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What the claims ask for.

    ``target`` is None if nobody claims the meeting. ``suppressed``: a person cancelled the bot by hand. ``expected``: the
    bot's event is still one to be recorded, which tells a missed meeting from a cancelled one. ``over``: that event has
    ended, perhaps because it was shortened. ``by_rules_only``: the event is unchanged and only rules leave it out now, which
    takes no bot out of a meeting. ``in_other_room``: the target is not in the room of the meeting's latest bot.
    """

    target: Target | None
    suppressed: bool = False
    expected: bool = True
    over: bool = False
    by_rules_only: bool = False
    in_other_room: bool = False


def next_action(bot: ObservedState | None, desired: DesiredState, *, now: datetime, lead: timedelta) -> Action:
    """Return what brings the bot from its observed to its desired state.

    ``bot`` is None if the meeting never had one. ``lead`` is how long before the start the backend is asked.
    """
    target = None if desired.suppressed or desired.target is None or desired.target.end_at <= now else desired.target
    if bot is None:
        return Action.NOTHING if target is None else Action.CREATE
    if bot.state is BotState.MISSED and bot.asked_at is not None:
        # The backend may have made this bot although no answer came, so it is recalled before another bot is made.
        return Action.WITHDRAW
    if bot.shared is not None:
        return _while_sharing(bot, bot.shared, target, desired, now, lead)
    if bot.state in TERMINAL_STATES:
        return Action.CREATE if target is not None and _deserves_another(bot, target, lead) else Action.NOTHING
    if bot.state is BotState.SCHEDULED:
        return _before_dispatch(bot, target, desired, now, lead)
    return _after_dispatch(bot, target, desired, now, lead)


def _deserves_another(bot: ObservedState, target: Target, lead: timedelta) -> bool:
    """Return whether the meeting gets a new bot after its last one has ended.

    A bot that was cancelled or missed is replaced if its meeting is wanted again. After a bot that did its work, a meeting gets
    another only if the meeting moved to a later time or to another link.
    """
    if bot.state in (BotState.CANCELLED, BotState.MISSED):
        return True
    return target.join_at > bot.join_at + lead or target.meeting_url != bot.meeting_url


def _while_sharing(
    bot: ObservedState, shared: SharedBot, target: Target | None, desired: DesiredState, now: datetime, lead: timedelta
) -> Action:
    """Return what becomes of a meeting that is served by another's bot.

    What would take an own bot out of the room ends the sharing. A bot that leaves while the meeting lasts is followed by one
    of the meeting's own.
    """
    if target is None:
        is_over = bot.end_at <= now or desired.over or desired.by_rules_only
        stays = not shared.is_in_room or (is_over and not desired.suppressed)
        return Action.NOTHING if stays else Action.LEAVE
    if abs(target.join_at - bot.join_at) > lead or desired.in_other_room:
        return Action.CREATE
    if shared.is_in_room:
        return Action.SHARE
    return Action.NOTHING if _was_for_both(shared, target, lead) else Action.CREATE


def _was_for_both(shared: SharedBot, target: Target, lead: timedelta) -> bool:
    """Return whether the bot did for this meeting just what it did for its own.

    So it is for one call that was booked twice: it has ended, and the bot's own meeting gets no other either.
    """
    is_same_time = abs(shared.join_at - target.join_at) <= lead and target.end_at <= shared.end_at + lead
    return shared.has_completed and is_same_time


def _before_dispatch(
    bot: ObservedState, target: Target | None, desired: DesiredState, now: datetime, lead: timedelta
) -> Action:
    if target is not None:
        in_time = bot.dispatch_at == target.join_at - lead
        return Action.KEEP if in_time and _same(bot, target) else Action.RESCHEDULE
    overdue = desired.over or bot.end_at <= now
    return Action.MISS if overdue and desired.expected and not desired.suppressed else Action.CANCEL


def _after_dispatch(
    bot: ObservedState, target: Target | None, desired: DesiredState, now: datetime, lead: timedelta
) -> Action:
    # A recall that has begun is always finished, since the bot may or may not still be in the call.
    is_left_to_finish = bot.state is BotState.FINALIZING and not bot.being_recalled
    if desired.suppressed:
        return Action.KEEP if is_left_to_finish else Action.WITHDRAW
    if target is None:
        return _unclaimed_after_dispatch(bot, desired, now)
    if bot.being_recalled:
        return Action.RELOCATE
    if is_left_to_finish:
        return Action.KEEP
    if _has_moved(bot, target, lead) or target.meeting_url != bot.meeting_url:
        return Action.RELOCATE
    # A bot is sent only for the target that is claimed. One not accepted yet needs the new target, or it would never be sent.
    unsent = bot.state is BotState.DISPATCHING and not _same(bot, target)
    return Action.RESCHEDULE if unsent else Action.KEEP


def _unclaimed_after_dispatch(bot: ObservedState, desired: DesiredState, now: datetime) -> Action:
    # Claims end with the meeting's planned end, but a bot stays in a meeting that runs long.
    over = bot.end_at <= now or bot.state is BotState.FINALIZING
    if bot.state is BotState.DISPATCHING:
        return Action.MISS if (over or desired.over) and desired.expected else Action.WITHDRAW
    # If the end was moved to before now, people in the call may still be talking; a bot that is not in it comes too late.
    over = over or (desired.over and bot.state in _IN_THE_CALL)
    stays = (over or desired.by_rules_only) and not bot.being_recalled
    return Action.KEEP if stays else Action.WITHDRAW


def _has_moved(bot: ObservedState, target: Target, lead: timedelta) -> bool:
    if abs(target.join_at - bot.join_at) > lead:
        return True
    # Without an answer to its request, the bot may be going to the time first asked for, so small moves since then add up.
    return bot.asked_at is not None and target.join_at - lead > bot.asked_at + lead


def _same(bot: ObservedState, target: Target) -> bool:
    return (bot.join_at, bot.end_at, bot.meeting_url) == (target.join_at, target.end_at, target.meeting_url)
