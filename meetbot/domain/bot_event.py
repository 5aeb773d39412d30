"""What the event that a bot was made for says about the bot, as the event is decided now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
        """Whether it has ended, having taken place no earlier than its bot expected."""
        # An event moved to before that time has not taken place without its bot: it was moved away from it.
        was_moved_before = self.start_at is None or self.start_at < self.dispatch_at
        return self.outcome == "skip" and self.reason == "ended" and not was_moved_before

    @property
    def is_expected(self) -> bool:
        """Whether nothing speaks against recording it, or against its having been recorded."""
        return self.outcome == "record" or self.is_over

    @property
    def is_left_out_by_rules(self) -> bool:
        """Whether the event is unchanged and only rules (or the facts they test) leave it out now."""
        return self.outcome == "skip" and self.reason in ("rule_matched", "no_rule_matched")
