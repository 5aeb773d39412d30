"""What is to become of a meeting's bot: the one place that decides it, from its standing and what is wanted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.plan import Target


class Action(StrEnum):
    """`NOTHING`: no bot and none wanted, or it had its bot. `KEEP`: as it stands. The others change it."""

    NOTHING = "nothing"
    CREATE = "create"
    KEEP = "keep"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    MISS = "miss"
    RELOCATE = "relocate"
    WITHDRAW = "withdraw"


_IN_THE_CALL = frozenset({BotState.IN_CALL, BotState.RECORDING})


@dataclass(frozen=True, slots=True)
class Standing:
    """The meeting's latest bot. ``asked_at``: when its backend was last asked for it without an answer that we know of.
    ``called_back``: its backend was, or may have been, told to take it back, and what became of that is not settled."""

    state: BotState
    join_at: datetime
    end_at: datetime
    dispatch_at: datetime
    meeting_url: str
    asked_at: datetime | None = None
    called_back: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What the claims come to. ``target`` is None without a claim. ``held``: somebody cancelled the bot by hand.
    ``expected``: the bot's event is still one to be recorded, which tells a missed meeting from a cancelled one.
    ``over``: that event has ended, be it because it was shortened.
    ``by_rules_only``: the bot's event stands and only rules leave it out now, which calls no bot out of a meeting."""

    target: Target | None
    held: bool = False
    expected: bool = True
    over: bool = False
    by_rules_only: bool = False


def next_action(bot: Standing | None, wish: Wish, *, now: datetime, lead: timedelta) -> Action:
    target = None if wish.held or wish.target is None or wish.target.end_at <= now else wish.target
    if bot is None:
        return Action.NOTHING if target is None else Action.CREATE
    if bot.state is BotState.MISSED and bot.asked_at is not None:
        # Its backend may have it all the same: no other may join it, and somebody must tell it to go.
        return Action.WITHDRAW
    if bot.state in TERMINAL_STATES:
        return Action.CREATE if target is not None and _deserves_another(bot, target, lead) else Action.NOTHING
    if bot.state is BotState.SCHEDULED:
        return _before_dispatch(bot, target, wish, now, lead)
    return _after_dispatch(bot, target, wish, now, lead)


def _deserves_another(bot: Standing, target: Target, lead: timedelta) -> bool:
    """A restored meeting gets a new bot, and so does one that goes on after all though it had been taken for over and missed.
    One that had its bot gets another only where it moved on or to another link."""
    if bot.state in (BotState.CANCELLED, BotState.MISSED):
        return True
    return target.join_at > bot.join_at + lead or target.meeting_url != bot.meeting_url


def _before_dispatch(bot: Standing, target: Target | None, wish: Wish, now: datetime, lead: timedelta) -> Action:
    if target is not None:
        in_time = bot.dispatch_at == target.join_at - lead
        return Action.KEEP if in_time and _same(bot, target) else Action.RESCHEDULE
    overdue = wish.over or bot.end_at <= now
    return Action.MISS if overdue and wish.expected and not wish.held else Action.CANCEL


def _after_dispatch(bot: Standing, target: Target | None, wish: Wish, now: datetime, lead: timedelta) -> Action:
    # Once begun, calling back is brought to its end: nobody knows whether the bot is still there.
    is_left_to_finish = bot.state is BotState.FINALIZING and not bot.called_back
    if wish.held:
        return Action.KEEP if is_left_to_finish else Action.WITHDRAW
    if target is None:
        return _unclaimed_after_dispatch(bot, wish, now)
    if bot.called_back:
        return Action.RELOCATE
    if is_left_to_finish:
        return Action.KEEP
    if _has_moved(bot, target, lead) or target.meeting_url != bot.meeting_url:
        return Action.RELOCATE
    # The backend has not taken it yet, and it is only sent for what is claimed: left as it stands, it would never go.
    unsent = bot.state is BotState.DISPATCHING and not _same(bot, target)
    return Action.RESCHEDULE if unsent else Action.KEEP


def _unclaimed_after_dispatch(bot: Standing, wish: Wish, now: datetime) -> Action:
    # Claims end with the meeting's scheduled end; a bot in a meeting that runs long stays to the last word.
    over = bot.end_at <= now or bot.state is BotState.FINALIZING
    if bot.state is BotState.DISPATCHING:
        return Action.MISS if (over or wish.over) and wish.expected else Action.WITHDRAW
    # Where the end was brought forward to before now, who is in the call may still be talking; who is not comes too late.
    over = over or (wish.over and bot.state in _IN_THE_CALL)
    stays = (over or wish.by_rules_only) and not bot.called_back
    return Action.KEEP if stays else Action.WITHDRAW


def _has_moved(bot: Standing, target: Target, lead: timedelta) -> bool:
    if abs(target.join_at - bot.join_at) > lead:
        return True
    # Small moves add up for one that may be on its way, as nobody has said, since it was asked for.
    return bot.asked_at is not None and target.join_at - lead > bot.asked_at + lead


def _same(bot: Standing, target: Target) -> bool:
    return (bot.join_at, bot.end_at, bot.meeting_url) == (target.join_at, target.end_at, target.meeting_url)
