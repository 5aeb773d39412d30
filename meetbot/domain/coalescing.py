"""Bursts made into few. Pure.

At most one a period for each name, and the last of a burst is never lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(slots=True)
class Coalescer(Generic[Name]):
    """Say for each name when it is due. Instants are seconds of any clock that only grows.

    The first of a burst is due at once; what comes within ``period`` after it is due once, at the end of that period.
    """

    period: float
    _closed_until: dict[Name, float] = field(default_factory=dict)
    _waiting: dict[Name, None] = field(default_factory=dict)
    _ends: list[tuple[float, int, Name]] = field(default_factory=list)
    _count: int = 0

    def note(self, name: Name) -> None:
        """Note that something happened under this name."""
        self._waiting[name] = None

    def take_due(self, now: float) -> list[Name]:
        """Return the names that are due, and begin a period for each."""
        self._forget(now)
        due = [name for name in self._waiting if name not in self._closed_until]
        for name in due:
            del self._waiting[name]
            self._closed_until[name] = now + self.period
            self._count += 1
            heapq.heappush(self._ends, (now + self.period, self._count, name))
        return due

    def next_due(self, now: float) -> float | None:
        """Return the instant at which the next name is due, None if nothing waits."""
        self._forget(now)
        return min((self._closed_until.get(name, now) for name in self._waiting), default=None)

    def take_all(self) -> list[Name]:
        """Return the names of which something is still to be told, due or not."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    @property
    def waiting(self) -> list[Name]:
        """Return the names of which something is still to be told."""
        return list(self._waiting)

    def _forget(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            end, _, name = heapq.heappop(self._ends)
            if self._closed_until.get(name) == end:
                del self._closed_until[name]
