"""From a rule's predicate to a function of the facts.

A rule that records needs proof; a rule that skips only needs that it cannot be excluded. So each predicate is read in
one of two ways (`Reading`), and ``not`` turns one into the other. With complete facts both readings say the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from meetbot.domain.addresses import rule_domain, rule_identity
from meetbot.rules import vocabulary
from meetbot.rules.facts import AttributeValue, Facts
from meetbot.rules.language import WEEKDAYS, AllOf, AnyOf, NumberTest, SetTest, StartTest, TextTest
from meetbot.rules.language import Not as NotOf
from meetbot.rules.text_search import Form, Searches, compile_pattern, fold
from meetbot.rules.zones import zone_named

Test = Callable[[Facts], bool]
Names = frozenset[str]
Canonical = Callable[[str], str | None]

_END_OF_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Reading:
    """How a predicate is read: ``possible`` asks what cannot be excluded, else what is certain.

    A test that names an attribute which the calendar user does not have is false where it stands. A rule that records
    must not gain from that under a ``not``, so there it counts as holding.

    ``searches`` are those of all rules that one decision may ask: each pattern that is read joins them.
    """

    records: bool
    possible: bool
    searches: Searches

    @classmethod
    def of_rule(cls, *, records: bool, searches: Searches) -> Reading:
        return cls(records, possible=not records, searches=searches)

    def negated(self) -> Reading:
        return Reading(self.records, not self.possible, self.searches)

    @property
    def missing_attribute_holds(self) -> bool:
        return self.records and self.possible


def compile_predicate(predicate: BaseModel, reading: Reading) -> Test:
    if isinstance(predicate, AllOf):
        return _every([compile_predicate(inner, reading) for inner in predicate.all])
    if isinstance(predicate, AnyOf):
        return _some([compile_predicate(inner, reading) for inner in predicate.any])
    if isinstance(predicate, NotOf):
        return _negation(compile_predicate(predicate.not_, reading.negated()))
    ((fact, test),) = predicate
    return _compile_fact(fact, test, reading)


def _compile_fact(fact: str, test: Any, reading: Reading) -> Test:
    if isinstance(test, bool):
        return _truth(fact, test, reading)
    if isinstance(test, int | float):
        return _number(fact, NumberTest(eq=test), reading)
    if isinstance(test, NumberTest):
        return _number(fact, test, reading)
    if isinstance(test, str):
        return _equals_any(fact, [test], reading)
    if isinstance(test, TextTest):
        return _text(fact, test, reading)
    if isinstance(test, SetTest):
        return _set(fact, test, reading)
    if isinstance(test, StartTest):
        return _start(test, reading)
    raise TypeError(f"no such test: {type(test).__name__}")


# --- connectives ------------------------------------------------------------------------------------------------------


def _every(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def every(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator expression costs twice the time
            if not test(facts):
                return False
        return True

    return every


def _some(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def some(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - a generator expression costs twice the time
            if test(facts):
                return True
        return False

    return some


def _negation(test: Test) -> Test:
    return lambda facts: not test(facts)


# --- truths -----------------------------------------------------------------------------------------------------------

_BOUNDED_TRUTHS: Final = frozenset(("internal", "external", "one_to_one"))


def _truth(fact: str, expected: bool, reading: Reading) -> Test:
    if not expected:
        return _negation(_truth(fact, True, reading.negated()))
    bounded = reading.possible and fact in _BOUNDED_TRUTHS
    return operator.attrgetter(f"{fact}_possible" if bounded else fact)


# --- numbers ----------------------------------------------------------------------------------------------------------

_BOUNDED_NUMBERS: Final = frozenset(("attendee_count", "external_count"))


def _number(fact: str, test: NumberTest, reading: Reading) -> Test:
    least = operator.attrgetter(fact)
    most = operator.attrgetter(f"{fact}_most") if fact in _BOUNDED_NUMBERS else least
    if reading.possible:
        low, high = most, least
    else:
        low, high = least, most
    comparisons: dict[str, Callable[[float], Test]] = {
        "gt": lambda bound: lambda facts: low(facts) > bound,
        "gte": lambda bound: lambda facts: low(facts) >= bound,
        "lt": lambda bound: lambda facts: high(facts) < bound,
        "lte": lambda bound: lambda facts: high(facts) <= bound,
        "eq": lambda bound: _is_number(least, most, bound, possible=reading.possible),
        "ne": lambda bound: _negation(_is_number(least, most, bound, possible=not reading.possible)),
    }
    return _every([comparisons[name](bound) for name, bound in test if bound is not None])


def _is_number(
    least: Callable[[Facts], float], most: Callable[[Facts], float], bound: float, *, possible: bool
) -> Test:
    if possible:
        return lambda facts: least(facts) <= bound <= most(facts)
    return lambda facts: least(facts) == bound == most(facts)


# --- texts ------------------------------------------------------------------------------------------------------------


def _text(fact: str, test: TextTest, reading: Reading) -> Test:
    tests: list[Test] = []
    if test.in_ is not None:
        tests.append(_equals_any(fact, test.in_, reading))
    if test.contains is not None:
        tests.append(_contains(fact, test.contains, reading))
    if test.matches is not None:
        tests.append(_matches(fact, test.matches, reading))
    return _every(tests)


_WRITTEN: Final[dict[str, Callable[[Facts], str]]] = {
    "title": Facts.folded_title,
    "platform": operator.attrgetter("platform"),
    "provider": operator.attrgetter("provider"),
    "calendar_id": operator.attrgetter("calendar_id"),
    "visibility": operator.attrgetter("visibility"),
    "response": operator.attrgetter("response"),
}
"""Each text fact that is written in one way, folded."""

_SPELLINGS: Final[dict[str, Callable[[Facts], tuple[str, ...]]]] = {
    "organizer_email": Facts.organizer_email_spellings,
    "organizer_domain": Facts.organizer_domain_spellings,
}
"""Those that may be written in several: ``münchen.de`` is ``xn--mnchen-3ya.de``. One that holds suffices."""


def _equals_any(fact: str, texts: Sequence[str], reading: Reading) -> Test:
    expected = _Expected.of(texts, _canonical(fact))
    if fact == "organizer_domain":
        return _with_expected(
            expected, lambda names: lambda facts: not facts.organizer_domains.isdisjoint(names), reading
        )
    if fact == "organizer_email":
        return _with_expected(expected, lambda names: lambda facts: facts.organizer_identity in names, reading)
    written = _WRITTEN[fact]
    return _with_expected(expected, lambda names: lambda facts: written(facts) in names, reading)


def _contains(fact: str, text: str, reading: Reading) -> Test:
    def test_for(parts: Names) -> Test:
        return _some([_part_of(fact, part, reading) for part in sorted(parts)])

    return _with_expected(_Expected.of([text], fold), test_for, reading)


def _part_of(fact: str, part: str, reading: Reading) -> Test:
    if fact in _SPELLINGS:
        spellings = _SPELLINGS[fact]
        return lambda facts: any(part in spelling for spelling in spellings(facts))
    written = _WRITTEN[fact]
    if fact == "title" and reading.possible:
        return lambda facts: part in written(facts) or facts.title_is_cut
    return lambda facts: part in written(facts)


def _matches(fact: str, pattern: str, reading: Reading) -> Test:
    if vocabulary.attribute_in(pattern) is not None:
        # An attribute is a text, and a text is literal.
        return _contains(fact, pattern, reading)
    found = _search(pattern, reading)
    undecided = reading.possible
    if fact == "title":
        # What ends at the cut may not have ended there.
        return lambda facts: undecided if facts.title_is_cut else found(facts.searchable_title())
    if fact in _SPELLINGS:
        spellings = _SPELLINGS[fact]
        return lambda facts: found(tuple(map(Form, spellings(facts))))
    written = _WRITTEN[fact]
    return lambda facts: found((Form(written(facts)),))


def _search(pattern: str, reading: Reading) -> Callable[[tuple[Form, ...]], bool]:
    """A text that is too long for the searches of one decision is undecided."""
    compiled = compile_pattern(pattern)
    reading.searches.add(compiled)
    searches, undecided = reading.searches, reading.possible
    search_plain = compiled.plain.compiled.search

    def found(forms: tuple[Form, ...]) -> bool:
        first = forms[0]
        if first.is_ascii and len(forms) == 1:
            # Nearly all texts: the same as below, in place.
            return undecided if len(first.plain) > searches.longest_ascii else search_plain(first.plain) is not None
        return compiled.found_in(forms) if searches.can_search(forms) else undecided

    return found


# --- sets -------------------------------------------------------------------------------------------------------------


def _set(fact: str, test: SetTest, reading: Reading) -> Test:
    tests: list[Test] = []
    if test.any_of is not None:
        tests.append(_any_of(fact, test.any_of, reading))
    if test.all_of is not None:
        tests.append(_all_of(fact, test.all_of, reading))
    if test.none_of is not None:
        tests.append(_negation(_any_of(fact, test.none_of, reading.negated())))
    return _every(tests)


def _there(fact: str) -> Callable[[Facts], Names]:
    attribute = {"attendee_domains": "domains_and_parents", "attendee_emails": "identities"}[fact]
    return operator.attrgetter(f"people.{attribute}")


def _any_of(fact: str, texts: Sequence[str], reading: Reading) -> Test:
    there = _there(fact)

    def test_for(names: Names) -> Test:
        if reading.possible:
            return lambda facts: not facts.complete or not there(facts).isdisjoint(names)
        return lambda facts: not there(facts).isdisjoint(names)

    return _with_expected(_Expected.of(texts, _canonical(fact)), test_for, reading)


def _all_of(fact: str, texts: Sequence[str], reading: Reading) -> Test:
    there = _there(fact)

    def test_for(names: Names, complete: bool) -> Test:
        # Everybody has all of nothing: an attribute that lists nobody is no proof, as little as one that is missing.
        if not (complete and names) and not reading.missing_attribute_holds:
            return _never
        if reading.possible:
            return lambda facts: not facts.complete or names <= there(facts)
        return lambda facts: names <= there(facts)

    return _for_each_owner(_Expected.of(texts, _canonical(fact)), test_for)


# --- start ------------------------------------------------------------------------------------------------------------


def _start(test: StartTest, reading: Reading) -> Test:
    weekdays = frozenset(map(WEEKDAYS.index, test.weekdays or WEEKDAYS))
    first = _minute(test.from_) if test.from_ else 0
    last = _minute(test.to) if test.to else _END_OF_DAY
    over_midnight = first > last

    def starts_inside(local: tuple[int, int]) -> bool:
        weekday, minute = local
        inside = (minute >= first or minute < last) if over_midnight else first <= minute < last
        return inside and weekday in weekdays

    attribute = vocabulary.attribute_in(test.timezone)
    zone = zone_named(test.timezone) if attribute is None else None
    if zone is not None:
        return lambda facts: starts_inside(facts.local_start(zone))

    def in_own_zone(facts: Facts) -> bool:
        own = facts.attributes.get(attribute or "")
        named = zone_named(own.strip()) if isinstance(own, str) else None
        return starts_inside(facts.local_start(named)) if named else reading.missing_attribute_holds

    return in_own_zone


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


# --- texts and attributes that a test expects -------------------------------------------------------------------------


def _canonical(fact: str) -> Canonical:
    if fact in vocabulary.DOMAIN_FACTS:
        return rule_domain
    if fact in vocabulary.ADDRESS_FACTS:
        return rule_identity
    return fold


@dataclass(frozen=True, slots=True, eq=False)
class _Expected:
    """The names a test compares with: fixed ones, and those of attributes, which differ by calendar user."""

    fixed: Names
    attributes: tuple[str, ...]
    canonical: Canonical

    @classmethod
    def of(cls, texts: Sequence[str], canonical: Canonical) -> _Expected:
        attributes = [name for name in map(vocabulary.attribute_in, texts) if name is not None]
        plain = [vocabulary.plain_text(text) for text in texts if vocabulary.attribute_in(text) is None]
        fixed = frozenset(name for name in map(canonical, plain) if name is not None)
        return cls(fixed, tuple(attributes), canonical)

    def resolved(self, values: Mapping[str, AttributeValue]) -> tuple[Names, bool]:
        """All names, and whether every attribute was there and could be used."""
        names, complete = set(self.fixed), True
        for attribute in self.attributes:
            for text in _texts_of(values.get(attribute)):
                name = self.canonical(text) if text else None
                if name is None:
                    complete = False
                else:
                    names.add(name)
        return frozenset(names), complete


def _texts_of(value: AttributeValue) -> list[str]:
    """The texts of an attribute; an empty one stands for what is missing or blank. An empty list is no text at all."""
    if value is None:
        return [""]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str | int | float):
        return [str(value).strip()]
    return [str(item).strip() for item in value]


def _with_expected(expected: _Expected, test_for: Callable[[Names], Test], reading: Reading) -> Test:
    """A test that holds where one of the expected names does."""
    missing_holds = reading.missing_attribute_holds

    def own_test(names: Names, complete: bool) -> Test:
        return test_for(names) if complete or not missing_holds else _always

    return _for_each_owner(expected, own_test)


def _for_each_owner(expected: _Expected, test_for: Callable[[Names, bool], Test]) -> Test:
    """The test for the names that are expected of each calendar user, made once per context."""
    if not expected.attributes:
        return test_for(expected.fixed, True)

    def test(facts: Facts) -> bool:
        own = facts.memo.tests.get(expected)
        if own is None:
            own = facts.memo.tests[expected] = test_for(*expected.resolved(facts.attributes))
        return own(facts)

    return test


def _always(_: Facts) -> bool:
    return True


def _never(_: Facts) -> bool:
    return False
