"""Checking the test that a rule puts to a fact."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, TypeGuard

from meetbot.domain.addresses import rule_domain, rule_identity
from meetbot.rules import fact_tests, text_search, vocabulary
from meetbot.rules.faults import FaultCode, Findings, Place, did_you_mean, shown
from meetbot.rules.time_zones import time_zone_names

_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


class FactTestCheck:
    """Checks the tests of one rule set: what all its patterns cost together is bounded."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._search_steps = 0

    def check(self, place: Place, fact: str, test: object) -> None:
        """Check the test of a fact that exists, by the fact's type."""
        if fact in vocabulary.TRUTH_FACTS:
            if not isinstance(test, bool):
                self._findings.wrong_type(place, test, "true or false")
        elif fact in vocabulary.NUMBER_FACTS:
            self._number_test(place, fact, test)
        elif fact in vocabulary.TEXT_FACTS:
            self._text_test(place, fact, test)
        elif fact in vocabulary.SET_FACTS:
            self._set_test(place, fact, test)
        else:
            self._start_test(place, test)

    # --- by the type of the fact ---------------------------------------------------------------------------------------

    def _number_test(self, place: Place, fact: str, test: object) -> None:
        if not isinstance(test, Mapping):
            expected = 'a number, or an object such as {"gte": 3}'
            if self._is_number(test, place, expected) and fact in vocabulary.COUNT_FACTS:
                self._count(place, test)
            return
        for name, bound in self._findings.known_tests(place, test, vocabulary.NUMBER_TESTS):
            compares_whole = fact in vocabulary.COUNT_FACTS and name in ("eq", "ne")
            if self._is_number(bound, (*place, name), "a number") and compares_whole:
                self._count((*place, name), bound)

    def _is_number(self, value: object, place: Place, expected: str) -> TypeGuard[int | float]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._findings.wrong_type(place, value, expected)
            return False
        if abs(value) > fact_tests.MAX_NUMBER or math.isnan(value):
            limit = fact_tests.MAX_NUMBER
            self._findings.add(place, FaultCode.OUT_OF_RANGE, f"expected a number from -{limit} to {limit}")
            return False
        return True

    def _count(self, place: Place, value: int | float) -> None:
        if value < 0 or value != int(value):
            self._findings.add(
                place, FaultCode.BAD_VALUE, f"a count is a whole number from 0 on, and never {shown(value)}"
            )

    def _text_test(self, place: Place, fact: str, test: object) -> None:
        if isinstance(test, str):
            self._value(place, fact, test)
            return
        if not isinstance(test, Mapping):
            self._findings.wrong_type(place, test, 'a text, or an object such as {"contains": "…"}')
            return
        for name, value in self._findings.known_tests(place, test, vocabulary.TEXT_TESTS):
            if name == "in":
                self._values((*place, name), fact, value)
            elif name == "contains":
                self._contained((*place, name), value)
            else:
                self._pattern((*place, name), value)

    def _set_test(self, place: Place, fact: str, test: object) -> None:
        if not isinstance(test, Mapping):
            self._findings.wrong_type(place, test, 'an object such as {"any_of": ["…"]}')
            return
        for name, values in self._findings.known_tests(place, test, vocabulary.SET_TESTS):
            self._values((*place, name), fact, values)

    def _start_test(self, place: Place, test: object) -> None:
        if not isinstance(test, Mapping):
            self._findings.wrong_type(
                place, test, 'an object such as {"weekdays": ["mon"], "timezone": "Europe/Berlin"}'
            )
            return
        checks = {"weekdays": self._weekdays, "from": self._clock, "to": self._clock, "timezone": self._timezone}
        tests = dict(self._findings.known_tests(place, test, vocabulary.START_TESTS))
        for name, value in tests.items():
            checks[name]((*place, name), value)
        if list(tests) == ["timezone"]:
            self._findings.add(
                place, FaultCode.EMPTY, 'a time zone alone tests nothing; add "weekdays", "from" or "to"'
            )
        if "from" in tests and tests["from"] == tests.get("to"):
            self._findings.add((*place, "to"), FaultCode.EMPTY, '"from" and "to" are the same, so the window is empty')

    # --- values -------------------------------------------------------------------------------------------------------

    def _values(self, place: Place, fact: str, values: object) -> None:
        if self._findings.is_list(values, place, "texts", fact_tests.MAX_LIST, may_be_empty=False):
            for index, value in enumerate(values):
                self._value((*place, index), fact, value)

    def _value(self, place: Place, fact: str, value: object) -> None:
        """A text that the fact is compared with as a whole."""
        if not self._findings.is_text(value, place, fact_tests.MAX_TEXT) or self._is_attribute(place, value):
            return
        plain = vocabulary.plain_text(value)
        if fact in vocabulary.DOMAIN_FACTS:
            self._domain(place, plain)
        elif fact in vocabulary.ADDRESS_FACTS:
            self._address(place, plain)
        elif (choices := vocabulary.CHOICES.get(fact)) and plain.lower() not in choices:
            hint = did_you_mean(plain, choices) or f"; one of {', '.join(choices)}"
            self._findings.add(place, FaultCode.BAD_VALUE, f"{fact} is never {shown(plain)}{hint}")

    def _domain(self, place: Place, value: str) -> None:
        if rule_domain(value) is None:
            is_address = rule_identity(value) is not None
            hint = "; test a whole address with attendee_emails or organizer_email" if is_address else ""
            self._findings.add(place, FaultCode.BAD_DOMAIN, f'expected a domain such as "customer.com"{hint}')

    def _address(self, place: Place, value: str) -> None:
        if rule_identity(value) is None:
            is_domain = "@" in value and rule_domain(value) is not None
            hint = "; test a domain with attendee_domains or organizer_domain" if is_domain else ""
            self._findings.add(place, FaultCode.BAD_ADDRESS, f'expected an address such as "ana@customer.com"{hint}')

    def _contained(self, place: Place, value: object) -> None:
        if self._findings.is_text(value, place, fact_tests.MAX_TEXT) and self._findings.is_not_blank(place, value):
            self._is_attribute(place, value)

    def _pattern(self, place: Place, value: object) -> None:
        if not self._findings.is_text(value, place, fact_tests.MAX_PATTERN) or not self._findings.is_not_blank(
            place, value
        ):
            return
        if value.startswith("$"):
            self._is_attribute(place, value)
            return
        limit = text_search.LARGEST_PROGRAMS_TOTAL
        if self._search_steps > limit:
            return  # refused already, and each pattern more would take time
        try:
            self._search_steps += text_search.compile_pattern(value).plain.steps
        except text_search.BadPattern as reason:
            self._findings.add(place, FaultCode.BAD_PATTERN, f"RE2 does not take this pattern: {reason}")
            self._search_steps += reason.steps
        if self._search_steps > limit:
            message = f"the patterns up to here compile to more than {limit} steps together"
            self._findings.add(
                place, FaultCode.TOO_MANY, f"{message}, {text_search.STEPS_OF_A_SEARCH} for each search included"
            )

    def _weekdays(self, place: Place, values: object) -> None:
        if not self._findings.is_list(values, place, "weekdays", len(fact_tests.WEEKDAYS), may_be_empty=False):
            return
        for index, value in enumerate(values):
            if value not in fact_tests.WEEKDAYS:
                known = ", ".join(fact_tests.WEEKDAYS)
                self._findings.add(
                    (*place, index), FaultCode.BAD_WEEKDAY, f"expected one of {known}, found {shown(value)}"
                )

    def _clock(self, place: Place, value: object) -> None:
        is_midnight_at_the_end = place[-1] == "to" and value == "24:00"
        if not is_midnight_at_the_end and not (isinstance(value, str) and _CLOCK.fullmatch(value)):
            self._findings.add(place, FaultCode.BAD_TIME, 'expected a time HH:MM such as "09:00"')

    def _timezone(self, place: Place, value: object) -> None:
        if not self._findings.is_text(value, place, fact_tests.MAX_TEXT) or self._is_attribute(place, value):
            return
        if value not in time_zone_names():
            hint = did_you_mean(value, time_zone_names())
            message = f'expected an IANA time zone such as "Europe/Berlin", found {shown(value)}{hint}'
            self._findings.add(place, FaultCode.BAD_TIMEZONE, message)

    def _is_attribute(self, place: Place, value: str) -> bool:
        name = vocabulary.attribute_in(value)
        if name is not None and not vocabulary.is_attribute_name(name):
            message = 'after "$" comes an attribute\'s name (letters, digits, _ . -); write "$$" for a dollar sign'
            self._findings.add(place, FaultCode.BAD_ATTRIBUTE, message)
        return name is not None
