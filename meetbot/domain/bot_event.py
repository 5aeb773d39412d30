"""What the event that a bot was made for says about the bot, as the event is decided now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meetbot.domain.decision import Outcome, ReasonCode


@dataclass(frozen=True, slots=True)
class EventOfBot:
    """The event with its decision, and when its bot was to be dispatched.

    ``outcome`` and ``reason`` are those of the event's decision (``record`` or ``skip``, and the reason code).
    """

    outcome: str
    reason: str
    start_at: datetime | None
    dispatch_at: datetime

    @property
    def is_over(self) -> bool:
        """Return whether it has ended, having taken place no earlier than its bot expected."""
        # An event moved to before that time has not taken place without its bot: it was moved away from it.
        was_moved_before = self.start_at is None or self.start_at < self.dispatch_at
        return self.outcome == Outcome.SKIP and self.reason == ReasonCode.ENDED and not was_moved_before

    @property
    def is_expected(self) -> bool:
        """Return whether nothing speaks against recording it, or against its having been recorded."""
        return self.outcome == Outcome.RECORD or self.is_over

    @property
    def is_left_out_by_rules(self) -> bool:
        """Return whether the event is unchanged and only rules, or their facts, leave it out."""
        return self.outcome == Outcome.SKIP and self.reason in (
            ReasonCode.RULE_MATCHED,
            ReasonCode.NO_RULE_MATCHED,
            ReasonCode.NEVER_RECORD,
        )
