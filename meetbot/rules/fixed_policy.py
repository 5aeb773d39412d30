"""The fixed policy: what is decided without the rules, or against them (P1 to P5).

Each point of the policy in docs/rules.md is one function here. In short: an event without a meeting URL (P1), one that has
ended (P2) and one that the calendar user declined (P3) is skipped; so is an all-day event, unless the rules include it
(P4), and an event that no rule matches (P5). The tenant's never-record list beats the rules. An override to skip
beats everything. An override to record beats P3, P4, P5, that list and the rules; it never beats P1, P2 or a cancelled event.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from meetbot.domain.decision import Override, ReasonCode
from meetbot.domain.event import Event, EventStatus, Response
from meetbot.rules.facts import DecisionContext
from meetbot.rules.language import AllDay, AllOf, AnyOf, Not


def reason_before_rules(event: Event, context: DecisionContext, *, all_day_included: bool) -> ReasonCode | None:
    """Return the reason that decides before any rule is asked; None if none does.

    ``all_day_included``: whether any rule could record an all-day event.
    """
    override = context.override
    if override is Override.SKIP:
        return ReasonCode.OVERRIDE_SKIP
    if is_cancelled(event):
        return ReasonCode.CANCELLED
    if has_no_meeting_url(event, override):
        return ReasonCode.NO_MEETING_URL
    if has_ended(event, context.now):
        return ReasonCode.ENDED
    if override is Override.RECORD:
        return ReasonCode.OVERRIDE_RECORD
    if context.never_record.names(event):
        return ReasonCode.NEVER_RECORD
    if is_declined_by_owner(event):
        return ReasonCode.OWNER_DECLINED
    if is_excluded_all_day(event, all_day_included=all_day_included):
        return ReasonCode.ALL_DAY
    return None


def reason_after_rules(event: Event, *, matched: bool, all_day_included: bool) -> ReasonCode:
    """Return the reason once the rules were asked, P4 before P5.

    ``all_day_included``: whether the rule that matched decides all-day events; if none matched, whether all sets do.
    """
    if is_excluded_all_day(event, all_day_included=all_day_included):
        return ReasonCode.ALL_DAY
    return ReasonCode.RULE_MATCHED if matched else ReasonCode.NO_RULE_MATCHED


def is_cancelled(event: Event) -> bool:
    """Return whether the event is cancelled; not even an override records it."""
    return event.status is EventStatus.CANCELLED


def has_no_meeting_url(event: Event, override: Override | None) -> bool:
    """P1. Whether there is no meeting to join.

    An event without a URL has none; nor have focus time, out of office, working location, birthdays and drafts, though
    they may hold one. An override to record makes a meeting of the latter.
    """
    return event.link is None or (not event.is_meeting and override is not Override.RECORD)


def has_ended(event: Event, now: datetime) -> bool:
    """P2. Whether the event is over. One that is running is not; one without times is."""
    return event.start is None or event.end is None or event.end <= now


def is_declined_by_owner(event: Event) -> bool:
    """P3. Whether the calendar user has declined the invitation."""
    return event.owner_response is Response.DECLINED


def is_excluded_all_day(event: Event, *, all_day_included: bool) -> bool:
    """P4. Whether the event lasts all day and nothing says that such events are to be recorded."""
    return event.all_day and not all_day_included


def names_all_day(predicate: BaseModel, *, positively: bool = True) -> bool:
    """P4. Whether a rule names all-day events as ones that it is about.

    ``positively`` is False inside of a ``not``.
    """
    if isinstance(predicate, AllDay):
        return predicate.all_day is positively
    if isinstance(predicate, Not):
        return names_all_day(predicate.not_, positively=not positively)
    if isinstance(predicate, AllOf):
        return any(names_all_day(inner, positively=positively) for inner in predicate.all)
    if isinstance(predicate, AnyOf):
        return any(names_all_day(inner, positively=positively) for inner in predicate.any)
    return False
