"""Look up where an address leads and which join link that is, within a budget per event.

The sender of an invitation chooses its addresses, and taking them apart costs most of the time that an event takes. So
each is looked up once, and no more of them than any invitation holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from meetbot.links.matching import JoinLink, match_join_link
from meetbot.links.unwrap import NoTarget, unwrap
from meetbot.links.urls import Url

# One unit is an address of usual length taken apart once, some ten microseconds. A hundred Teams links, rewritten and
# all different, take a third of the budget.
_BUDGET = 3_000
_CHARACTERS_IN_A_UNIT = 256
_ESCAPES_IN_A_UNIT = 8

# Finding and preparing the text may not use this part of the budget, which is kept for reading it.
_FOR_READING = _BUDGET // 2


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The address that a text finally leads to, and the join link that this is, if it is one."""

    target: Url | NoTarget
    link: JoinLink | None


_NOT_LOOKED_UP = LookupResult(NoTarget.NOT_LOOKED_UP, None)


class Lookup:
    """The addresses of one event that were looked up, and the budget that is left.

    ``is_complete`` becomes False as soon as an address is not looked up for lack of budget.
    """

    __slots__ = ("_known", "_left", "is_complete")

    def __init__(self) -> None:
        self.is_complete = True
        self._left = _BUDGET
        self._known: dict[str, LookupResult] = {}

    def find(self, text: str) -> LookupResult:
        """Return what an address leads to; `NOT_LOOKED_UP` if the budget is used up."""
        found = self._known.get(text)
        if found is None:
            target = unwrap(text, self._pays)
            found = LookupResult(target, None if isinstance(target, NoTarget) else match_join_link(target))
            self._known[text] = found
        return found

    def can_prepare(self) -> bool:
        """Return whether the part of the budget that is not kept for reading is left."""
        return self._left > _FOR_READING

    def find_in_markup(self, text: str) -> LookupResult:
        """Return what the address of a link in HTML leads to, as long as `can_prepare`."""
        if self.can_prepare():
            return self.find(text)
        self.is_complete = False
        return _NOT_LOOKED_UP

    def charge(self, units: int) -> None:
        """Take units off the budget, for other work than taking an address apart."""
        self._left -= units

    def _pays(self, text: str) -> bool:
        if self._left <= 0:
            self.is_complete = False
            return False
        escapes = text.count("%") + text.count("*")
        self._left -= 1 + len(text) // _CHARACTERS_IN_A_UNIT + escapes // _ESCAPES_IN_A_UNIT
        return True
