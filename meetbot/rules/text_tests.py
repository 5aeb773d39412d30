"""Compiling the tests of texts and of sets of names.

A text is equal to, contains, or matches what the rule says; a set of names has any, all or none of those that the rule
names. Each text of a rule may be the ``$name`` of an attribute.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Final

from meetbot.rules import vocabulary
from meetbot.rules.expected_names import ExpectedNames, Names, canonical_for, for_any_name, for_each_owner
from meetbot.rules.fact_tests import SetTest, TextTest
from meetbot.rules.facts import Facts
from meetbot.rules.reading import CompileContext, Test, every, negation, never, some
from meetbot.rules.text_search import Form, compile_pattern, fold


def compile_text_test(fact: str, test: TextTest, context: CompileContext) -> Test:
    """Return the test that holds if ``in``, ``contains`` and ``matches`` do, as far as given."""
    tests: list[Test] = []
    if test.in_ is not None:
        tests.append(compile_equal_to(fact, test.in_, context))
    if test.contains is not None:
        tests.append(_contains(fact, test.contains, context))
    if test.matches is not None:
        tests.append(_matches(fact, test.matches, context))
    return every(tests)


_WRITTEN: Final[dict[str, Callable[[Facts], str]]] = {
    "title": Facts.folded_title,
    "platform": operator.attrgetter("platform"),
    "provider": operator.attrgetter("provider"),
    "calendar_id": operator.attrgetter("calendar_id"),
    "visibility": operator.attrgetter("visibility"),
    "response": operator.attrgetter("response"),
}
"""The facts that have one spelling, folded."""

_SPELLINGS: Final[dict[str, Callable[[Facts], tuple[str, ...]]]] = {
    "organizer_email": Facts.organizer_email_spellings,
    "organizer_domain": Facts.organizer_domain_spellings,
}
"""The facts that may have several: ``münchen.de`` is ``xn--mnchen-3ya.de``. A test holds if it does for one of them."""


def compile_equal_to(fact: str, texts: Sequence[str], context: CompileContext) -> Test:
    """Return the test that holds if the fact is equal to one of the texts."""
    expected = ExpectedNames.of(texts, canonical_for(fact))
    if fact == "organizer_domain":
        return for_any_name(
            expected, lambda names: lambda facts: not facts.organizer_domains.isdisjoint(names), context
        )
    if fact == "organizer_email":
        return for_any_name(expected, lambda names: lambda facts: facts.organizer_identity in names, context)
    written = _WRITTEN[fact]
    return for_any_name(expected, lambda names: lambda facts: written(facts) in names, context)


def _contains(fact: str, text: str, context: CompileContext) -> Test:
    def test_for(parts: Names) -> Test:
        return some([_part_of(fact, part, context) for part in sorted(parts)])

    return for_any_name(ExpectedNames.of([text], fold), test_for, context)


def _part_of(fact: str, part: str, context: CompileContext) -> Test:
    if fact in _SPELLINGS:
        spellings = _SPELLINGS[fact]
        return lambda facts: any(part in spelling for spelling in spellings(facts))
    written = _WRITTEN[fact]
    if fact == "title" and context.possible:
        return lambda facts: part in written(facts) or facts.title_is_cut
    return lambda facts: part in written(facts)


def _matches(fact: str, pattern: str, context: CompileContext) -> Test:
    if vocabulary.attribute_in(pattern) is not None:
        # An attribute is a text, and a text is literal.
        return _contains(fact, pattern, context)
    found = _search(pattern, context)
    undecided = context.possible
    if fact == "title":
        # A cut title may have gone on, so what a pattern finds at its end proves nothing.
        return lambda facts: undecided if facts.title_is_cut else found(facts.searchable_title())
    if fact in _SPELLINGS:
        spellings = _SPELLINGS[fact]
        return lambda facts: found(tuple(map(Form, spellings(facts))))
    written = _WRITTEN[fact]
    return lambda facts: found((Form(written(facts)),))


def _search(pattern: str, context: CompileContext) -> Callable[[tuple[Form, ...]], bool]:
    """How to find the pattern.

    A text that is too long for the searches of one decision is undecided.
    """
    compiled = compile_pattern(pattern)
    context.searches.add(compiled)
    searches, undecided = context.searches, context.possible
    search_plain = compiled.plain.compiled.search

    def found(forms: tuple[Form, ...]) -> bool:
        first = forms[0]
        if first.is_ascii and len(forms) == 1:
            # Nearly all texts are ASCII: the same as the last line, without its calls.
            return undecided if len(first.plain) > searches.longest_ascii else search_plain(first.plain) is not None
        return compiled.found_in(forms) if searches.can_search(forms) else undecided

    return found


def compile_set_test(fact: str, test: SetTest, context: CompileContext) -> Test:
    """Return the test that holds if ``any_of``, ``all_of`` and ``none_of`` do, as far as given."""
    tests: list[Test] = []
    if test.any_of is not None:
        tests.append(_any_of(fact, test.any_of, context))
    if test.all_of is not None:
        tests.append(_all_of(fact, test.all_of, context))
    if test.none_of is not None:
        tests.append(negation(_any_of(fact, test.none_of, context.negated())))
    return every(tests)


def _there(fact: str) -> Callable[[Facts], Names]:
    attribute = {"attendee_domains": "domains_and_parents", "attendee_emails": "identities"}[fact]
    return operator.attrgetter(f"people.{attribute}")


def _any_of(fact: str, texts: Sequence[str], context: CompileContext) -> Test:
    there = _there(fact)

    def test_for(names: Names) -> Test:
        if context.possible:
            return lambda facts: not facts.complete or not there(facts).isdisjoint(names)
        return lambda facts: not there(facts).isdisjoint(names)

    return for_any_name(ExpectedNames.of(texts, canonical_for(fact)), test_for, context)


def _all_of(fact: str, texts: Sequence[str], context: CompileContext) -> Test:
    there = _there(fact)

    def test_for(names: Names, complete: bool) -> Test:
        # Every event has all of no names, so an attribute that is an empty list proves as little as a missing one.
        if not (complete and names) and not context.missing_attribute_holds:
            return never
        if context.possible:
            return lambda facts: not facts.complete or names <= there(facts)
        return lambda facts: names <= there(facts)

    return for_each_owner(ExpectedNames.of(texts, canonical_for(fact)), test_for)
