"""One deadline over a whole exchange: from the name's resolution to the last byte read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Deadline:
    """A point in time at which waiting ends. ``clock`` is a monotonic clock in seconds."""

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._end - self._clock())


@dataclass(frozen=True, slots=True)
class PhaseSeconds:
    """The longest that each single step may take, within the deadline."""

    connect: float = 3.0
    read: float = 15.0
    write: float = 10.0
    pool: float = 10.0


class StepSeconds(float):
    """The time for one step as httpcore hands it on, which still knows its deadline.

    httpcore asks for a limit once per phase, and gives each of many reads the whole of it. The stream below asks again.
    """

    __slots__ = ("_deadline",)

    _deadline: Deadline

    @classmethod
    def until(cls, deadline: Deadline, limit: float) -> StepSeconds:
        """Return the limit, or what is left until the deadline if that is less."""
        # Never zero: httpcore's pool takes that for "do not wait", and a socket for "do not block".
        step = cls(max(0.001, min(limit, deadline.remaining())))
        step._deadline = deadline
        return step

    def left(self) -> float:
        """Return the seconds that the next wait may take; zero once the deadline has passed."""
        return min(float(self), self._deadline.remaining())


class PhaseTimeouts(dict[str, float | None]):
    """The table of limits that httpcore reads at the start of each phase of a request."""

    def __init__(self, deadline: Deadline, phases: PhaseSeconds) -> None:
        super().__init__(connect=phases.connect, read=phases.read, write=phases.write, pool=phases.pool)
        self._deadline = deadline

    def get(self, key: str, default: Any = None) -> Any:
        """Return the time for a phase that begins now."""
        limit = super().get(key, default)
        return None if limit is None else StepSeconds.until(self._deadline, limit)
