"""What can go wrong while the development stack starts or runs."""

from __future__ import annotations

from pathlib import Path

from meetbot.errors import MeetbotError


class DevStackError(MeetbotError):
    """Base: the stack cannot be started, or not any longer run."""


class AlreadyRunning(DevStackError):
    """Another supervisor holds this state directory."""


class StopRequested(DevStackError):
    """Somebody pressed Ctrl-C or sent a signal: stop in order, it is no fault."""


class PartFailed(DevStackError):
    """One part did not start, or ended by itself. ``log_file`` holds its own words."""

    def __init__(self, code: str, detail: str, log_file: Path, log_tail: str) -> None:
        super().__init__(code, detail, next_step=f"see {log_file}")
        self.log_file = log_file
        self.log_tail = log_tail
