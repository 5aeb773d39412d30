"""Tables of a state's allowed changes, and the one check that every change goes through."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)
TransitionTable = Mapping[State, frozenset[State]]
"""By state: the states that may follow it. A state that is entered again while it holds lists itself."""


class IllegalTransition(ValueError):
    """A change of a state that its table does not allow: a fault of ours, not of any input."""

    def __init__(self, current: StrEnum, following: StrEnum) -> None:
        super().__init__(f"{type(current).__name__}: {current} is not followed by {following}")


def checked(table: TransitionTable[State], current: State, following: State) -> State:
    """Return ``following``; raises `IllegalTransition` unless it may follow ``current``."""
    if following not in table[current]:
        raise IllegalTransition(current, following)
    return following
