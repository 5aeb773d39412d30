"""The names that a test compares with: written in the rule, or held by attributes.

Attributes differ by calendar user, so a test that mentions one is made anew for each calendar user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from meetbot.domain.addresses import rule_domain, rule_identity
from meetbot.rules import vocabulary
from meetbot.rules.facts import AttributeValue, Facts
from meetbot.rules.reading import CompileContext, Test, always
from meetbot.rules.text_search import fold

Names = frozenset[str]
Canonical = Callable[[str], str | None]


def canonical_for(fact: str) -> Canonical:
    """Return the function that makes one of all spellings of a fact's value.

    It returns None for a value that cannot be used.
    """
    if fact in vocabulary.DOMAIN_FACTS:
        return rule_domain
    if fact in vocabulary.ADDRESS_FACTS:
        return rule_identity
    return fold


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedNames:
    """What a test compares with.

    ``fixed`` is the same for all calendar users; ``attributes`` are to be looked up.
    """

    fixed: Names
    attributes: tuple[str, ...]
    canonical: Canonical

    @classmethod
    def of(cls, texts: Sequence[str], canonical: Canonical) -> ExpectedNames:
        """Return what a rule's texts expect; each is a name or the ``$name`` of an attribute."""
        attributes = [name for name in map(vocabulary.attribute_in, texts) if name is not None]
        plain = [vocabulary.plain_text(text) for text in texts if vocabulary.attribute_in(text) is None]
        fixed = frozenset(name for name in map(canonical, plain) if name is not None)
        return cls(fixed, tuple(attributes), canonical)

    def resolved(self, values: Mapping[str, AttributeValue]) -> tuple[Names, bool]:
        """Return all names, and whether every attribute was there and could be used."""
        names, complete = set(self.fixed), True
        for attribute in self.attributes:
            for text in _texts_of(values.get(attribute)):
                name = self.canonical(text) if text else None
                if name is None:
                    complete = False
                else:
                    names.add(name)
        return frozenset(names), complete


def for_any_name(expected: ExpectedNames, test_for: Callable[[Names], Test], context: CompileContext) -> Test:
    """Return a test that holds if one of the expected names does.

    ``test_for`` makes it of the names.
    """
    missing_holds = context.missing_attribute_holds

    def own_test(names: Names, complete: bool) -> Test:
        return test_for(names) if complete or not missing_holds else always

    return for_each_owner(expected, own_test)


def for_each_owner(expected: ExpectedNames, test_for: Callable[[Names, bool], Test]) -> Test:
    """Return a test that asks for the names expected of each calendar user.

    They are looked up once per context. ``test_for`` makes the test of the names, and of whether every attribute was
    there and could be used.
    """
    if not expected.attributes:
        return test_for(expected.fixed, True)

    def test(facts: Facts) -> bool:
        own = facts.memo.tests.get(expected)
        if own is None:
            own = facts.memo.tests[expected] = test_for(*expected.resolved(facts.attributes))
        return own(facts)

    return test


def _texts_of(value: AttributeValue) -> list[str]:
    """The texts of an attribute.

    An empty text stands for a missing or blank one; an empty list has no text at all.
    """
    if value is None:
        return [""]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str | int | float):
        return [str(value).strip()]
    return [str(item).strip() for item in value]
