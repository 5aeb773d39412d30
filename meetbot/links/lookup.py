"""Looks up what addresses lead to, each once, and of one event no more of them than any invitation holds.

Whoever sends an invitation chooses its addresses. Taking one apart costs most of the time that an event takes, so all
parts of the search draw on one budget.
"""

from __future__ import annotations

from dataclasses import dataclass

from meetbot.links.matching import Room, match
from meetbot.links.unwrap import Lost, follow
from meetbot.links.urls import Url

# A unit is an address of usual length taken apart once, some ten microseconds. A hundred Teams links, rewritten and all
# different, take a third of the budget.
_BUDGET = 3_000
_CHARACTERS_IN_A_UNIT = 256
_ESCAPES_IN_A_UNIT = 8

# What finds and prepares the text leaves this to the reading of it.
_FOR_READING = _BUDGET // 2


@dataclass(frozen=True, slots=True)
class Found:
    """Where an address finally leads, and the room there."""

    target: Url | Lost
    room: Room | None


_NOT_LOOKED_UP = Found(Lost.NOT_LOOKED_UP, None)


class Lookup:
    """The addresses of one event."""

    __slots__ = ("_known", "_left", "is_complete")

    def __init__(self) -> None:
        # False once there are too many addresses to look all of them up.
        self.is_complete = True
        self._left = _BUDGET
        self._known: dict[str, Found] = {}

    def address(self, text: str) -> Found:
        found = self._known.get(text)
        if found is None:
            target = follow(text, self._pays)
            found = Found(target, None if isinstance(target, Lost) else match(target))
            self._known[text] = found
        return found

    def may_prepare(self) -> bool:
        return self._left > _FOR_READING

    def for_markup(self, text: str) -> Found:
        """The address of a link in markup, as long as there are not too many."""
        if self.may_prepare():
            return self.address(text)
        self.is_complete = False
        return _NOT_LOOKED_UP

    def charge(self, units: int) -> None:
        self._left -= units

    def _pays(self, text: str) -> bool:
        if self._left <= 0:
            self.is_complete = False
            return False
        escapes = text.count("%") + text.count("*")
        self._left -= 1 + len(text) // _CHARACTERS_IN_A_UNIT + escapes // _ESCAPES_IN_A_UNIT
        return True
