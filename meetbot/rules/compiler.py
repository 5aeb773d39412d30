"""From a rule's predicate to a function of the facts.

A rule that records needs proof; a rule that skips only needs that it cannot be excluded. So each predicate is read in
one of two ways (`CompileContext`), and ``not`` turns one into the other. If the facts are complete, both say the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel

from meetbot.rules import vocabulary
from meetbot.rules.fact_tests import WEEKDAYS, NumberTest, SetTest, StartTest, TextTest
from meetbot.rules.facts import Facts
from meetbot.rules.language import AllOf, Always, AnyOf
from meetbot.rules.language import Not as NotOf
from meetbot.rules.reading import CompileContext, Test, always, every, negation, some
from meetbot.rules.text_tests import compile_equal_to, compile_set_test, compile_text_test
from meetbot.rules.time_zones import find_time_zone

_END_OF_DAY: Final = 24 * 60


def compile_predicate(predicate: BaseModel, context: CompileContext) -> Test:
    """Return the test of the facts that a predicate of `meetbot.rules.language` stands for."""
    if isinstance(predicate, AllOf):
        return every([compile_predicate(inner, context) for inner in predicate.all])
    if isinstance(predicate, AnyOf):
        return some([compile_predicate(inner, context) for inner in predicate.any])
    if isinstance(predicate, NotOf):
        return negation(compile_predicate(predicate.not_, context.negated()))
    if isinstance(predicate, Always):
        return always
    ((fact, test),) = predicate
    return _compile_fact(fact, test, context)


def _compile_fact(fact: str, test: Any, context: CompileContext) -> Test:
    if isinstance(test, bool):
        return _truth(fact, test, context)
    if isinstance(test, int | float):
        return _number(fact, NumberTest(eq=test), context)
    if isinstance(test, NumberTest):
        return _number(fact, test, context)
    if isinstance(test, str):
        return compile_equal_to(fact, [test], context)
    if isinstance(test, TextTest):
        return compile_text_test(fact, test, context)
    if isinstance(test, SetTest):
        return compile_set_test(fact, test, context)
    if isinstance(test, StartTest):
        return _start(test, context)
    raise TypeError(f"no such test: {type(test).__name__}")


# --- truths -----------------------------------------------------------------------------------------------------------

_BOUNDED_TRUTHS: Final = frozenset(("internal", "external", "one_to_one"))


def _truth(fact: str, expected: bool, context: CompileContext) -> Test:
    if not expected:
        return negation(_truth(fact, True, context.negated()))
    bounded = context.possible and fact in _BOUNDED_TRUTHS
    return operator.attrgetter(f"{fact}_possible" if bounded else fact)


# --- numbers ----------------------------------------------------------------------------------------------------------

_BOUNDED_NUMBERS: Final = frozenset(("attendee_count", "external_count"))


def _number(fact: str, test: NumberTest, context: CompileContext) -> Test:
    least = operator.attrgetter(fact)
    most = operator.attrgetter(f"{fact}_most") if fact in _BOUNDED_NUMBERS else least
    if context.possible:
        low, high = most, least
    else:
        low, high = least, most
    comparisons: dict[str, Callable[[float], Test]] = {
        "gt": lambda bound: lambda facts: low(facts) > bound,
        "gte": lambda bound: lambda facts: low(facts) >= bound,
        "lt": lambda bound: lambda facts: high(facts) < bound,
        "lte": lambda bound: lambda facts: high(facts) <= bound,
        "eq": lambda bound: _is_number(least, most, bound, possible=context.possible),
        "ne": lambda bound: negation(_is_number(least, most, bound, possible=not context.possible)),
    }
    return every([comparisons[name](bound) for name, bound in test if bound is not None])


def _is_number(
    least: Callable[[Facts], float], most: Callable[[Facts], float], bound: float, *, possible: bool
) -> Test:
    if possible:
        return lambda facts: least(facts) <= bound <= most(facts)
    return lambda facts: least(facts) == bound == most(facts)


# --- start ------------------------------------------------------------------------------------------------------------


def _start(test: StartTest, context: CompileContext) -> Test:
    weekdays = frozenset(map(WEEKDAYS.index, test.weekdays or WEEKDAYS))
    first = _minute(test.from_) if test.from_ else 0
    last = _minute(test.to) if test.to else _END_OF_DAY
    over_midnight = first > last

    def starts_inside(local: tuple[int, int]) -> bool:
        weekday, minute = local
        inside = (minute >= first or minute < last) if over_midnight else first <= minute < last
        return inside and weekday in weekdays

    attribute = vocabulary.attribute_in(test.timezone)
    zone = find_time_zone(test.timezone) if attribute is None else None
    if zone is not None:
        return lambda facts: starts_inside(facts.local_start(zone))

    def in_own_zone(facts: Facts) -> bool:
        own = facts.attributes.get(attribute or "")
        named = find_time_zone(own.strip()) if isinstance(own, str) else None
        return starts_inside(facts.local_start(named)) if named else context.missing_attribute_holds

    return in_own_zone


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
