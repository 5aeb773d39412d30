"""The reading of predicates, and the joining of the tests that they compile to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meetbot.rules.facts import Facts
from meetbot.rules.text_search import Searches

Test = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class CompileContext:
    """How a predicate is read if facts are in doubt.

    ``possible``: it asks what cannot be excluded, else what is certain. ``records``: whether the rule records.

    A test that names an attribute which the calendar user does not have is false. Under a ``not`` that would make the rule
    match; a rule that records must not gain from it, so there the test holds.

    ``searches`` are those of all rules that one decision may ask: each pattern that is compiled joins them.
    """

    records: bool
    possible: bool
    searches: Searches

    @classmethod
    def of_rule(cls, *, records: bool, searches: Searches) -> CompileContext:
        """Return how a whole rule is read: one that records needs proof, one that skips does not."""
        return cls(records, possible=not records, searches=searches)

    def negated(self) -> CompileContext:
        """Return how the predicate under a ``not`` is read."""
        return CompileContext(self.records, not self.possible, self.searches)

    @property
    def missing_attribute_holds(self) -> bool:
        """Return whether a test holds if it names an attribute that the calendar user does not have."""
        return self.records and self.possible


def every(tests: Sequence[Test]) -> Test:
    """Return the test that holds if each of the tests does."""
    if len(tests) == 1:
        return tests[0]

    def test_every(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator expression costs twice the time
            if not test(facts):
                return False
        return True

    return test_every


def some(tests: Sequence[Test]) -> Test:
    """Return the test that holds if at least one of the tests does."""
    if len(tests) == 1:
        return tests[0]

    def test_some(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator expression costs twice the time
            if test(facts):
                return True
        return False

    return test_some


def negation(test: Test) -> Test:
    """Return the test that holds if the given one does not."""
    return lambda facts: not test(facts)


def always(_: Facts) -> bool:
    """Hold for every event."""
    return True


def never(_: Facts) -> bool:
    """Hold for no event."""
    return False
