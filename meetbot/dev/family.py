"""The children of one supervisor: started one by one, watched together, ended in the opposite order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from meetbot.dev.interrupt import Interrupt
from meetbot.dev.leftovers import record_children
from meetbot.dev.processes import Child, raise_if_ended, stop

_WATCH_SECONDS = 0.2
# Longer than the worker gives its activities to finish.
_STOP_SECONDS = 25.0


class Tier(IntEnum):
    """Who leans on whom: the product on the services. Those of one tier do not mind each other and end together."""

    SERVICES = 1
    PRODUCT = 2


class Family:
    def __init__(self, state_directory: Path, interrupt: Interrupt) -> None:
        self._state_directory = state_directory
        self._interrupt = interrupt
        self._tiers: dict[Tier, list[Child]] = {tier: [] for tier in Tier}

    def adopt(self, child: Child, tier: Tier) -> Child:
        self._tiers[tier].append(child)
        record_children(self._state_directory, self._all())
        return child

    def keep_going(self) -> None:
        """For every waiting loop: raises `StopRequested`, or `PartFailed` for a child that has ended by itself."""
        self._interrupt.keep_going()
        for child in self._all():
            raise_if_ended(child)

    def watch(self) -> None:
        """Return never, but by `StopRequested` or `PartFailed`."""
        while True:
            self.keep_going()
            time.sleep(_WATCH_SECONDS)

    def end(self) -> None:
        for tier in reversed(Tier):
            stop(*self._tiers[tier], seconds=_STOP_SECONDS, hurry=self._interrupt.hurry)
            self._tiers[tier].clear()
        record_children(self._state_directory, ())

    def _all(self) -> list[Child]:
        return [child for children in self._tiers.values() for child in children]


@contextmanager
def family(state_directory: Path, interrupt: Interrupt) -> Iterator[Family]:
    """However the block ends, no child is left afterwards."""
    children = Family(state_directory, interrupt)
    try:
        yield children
    finally:
        children.end()
