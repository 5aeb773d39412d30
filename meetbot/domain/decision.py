"""A decision: to record or to skip one event, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from meetbot.domain.json_objects import Json


class Outcome(StrEnum):
    """What a decision comes to."""

    RECORD = "record"
    SKIP = "skip"


class ReasonCode(StrEnum):
    """Why an event is recorded or skipped. Customers see these values: they never change."""

    RULE_MATCHED = "rule_matched"
    NO_RULE_MATCHED = "no_rule_matched"
    NO_MEETING_URL = "no_meeting_url"
    ENDED = "ended"
    OWNER_DECLINED = "owner_declined"
    ALL_DAY = "all_day"
    CANCELLED = "cancelled"
    OVERRIDE_RECORD = "override_record"
    OVERRIDE_SKIP = "override_skip"
    NEVER_RECORD = "never_record"
    """The tenant's never-record list names a person of it, or a mark in its title."""
    ACCESS_REVOKED = "access_revoked"
    """The calendar could not be read any more. The rules never give this reason."""
    DAILY_LIMIT = "daily_limit"
    """The day's bots are used up (`meetbot.calendars.daily_limit`). The rules never give it."""


class Override(StrEnum):
    """What a person asked for, for one occurrence or its series, against the rules."""

    RECORD = "record"
    SKIP = "skip"


class Layer(StrEnum):
    """The layers of rules, in the order in which they are asked.

    A tenant locks rules before and after those of its calendar users. ``DEFAULT`` is the tenant's too; it stands in for
    ``USER`` if a calendar user has no rule set.
    """

    LOCKED_BEFORE = "locked_before"
    USER = "user"
    DEFAULT = "default"
    LOCKED_AFTER = "locked_after"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one event, and what it was based on.

    ``rule``, ``rule_set_version`` and ``layer`` name the rule that decided. If rules were asked and none matched,
    ``rule`` is None and the other two name the user's own set, or the tenant's default in its place. All three are None
    if no rule was asked.
    """

    outcome: Outcome
    reason: ReasonCode
    rule: str | None
    rule_set_version: str | None
    layer: str | None
    facts: Mapping[str, Json]
