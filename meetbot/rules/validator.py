"""Everything that is wrong with a rule set document, each fault at its exact place."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

from meetbot.domain.addresses import rule_domain, rule_identity
from meetbot.domain.json_objects import repeated_keys
from meetbot.rules import language, text_search, vocabulary
from meetbot.rules.zones import zone_names

MOST_FAULTS: Final = 100
"""More are not looked for: nobody reads them, and finding them takes time."""

_SHOWN_FAULTS_PER_OBJECT: Final = 20
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)

Place = tuple[str | int, ...]


class FaultCode(StrEnum):
    WRONG_TYPE = "wrong_type"
    MISSING = "missing"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_FACT = "unknown_fact"
    UNKNOWN_TEST = "unknown_test"
    SEVERAL_KEYS = "several_keys"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    TOO_DEEP = "too_deep"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_NAME = "duplicate_name"
    BAD_VALUE = "bad_value"
    BAD_CHARACTER = "bad_character"
    BAD_PATTERN = "bad_pattern"
    BAD_TIME = "bad_time"
    BAD_TIMEZONE = "bad_timezone"
    BAD_WEEKDAY = "bad_weekday"
    BAD_ADDRESS = "bad_address"
    BAD_DOMAIN = "bad_domain"
    BAD_ATTRIBUTE = "bad_attribute"
    DUPLICATE_KEY = "duplicate_key"
    MORE_FAULTS = "more_faults"


class Finding(NamedTuple):
    place: Place
    code: FaultCode
    message: str

    @property
    def path(self) -> str:
        return ".".join(map(str, self.place))


def check_document(document: object) -> list[Finding]:
    """All faults, in reading order; none where the document is a rule set. Of more than `MOST_FAULTS` the last entry says
    that there are more. Never raises, whatever the document is."""
    check = _Check()
    try:
        check.rule_set(document)
    except _TooManyFaults:
        message = f"there are more faults; the first {MOST_FAULTS - 1} are listed"
        return [*check.findings[: MOST_FAULTS - 1], Finding((), FaultCode.MORE_FAULTS, message)]
    return check.findings


class _TooManyFaults(Exception):
    pass


class _Check:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._nodes = 0
        self._search_steps = 0

    def _add(self, place: Place, code: FaultCode, message: str) -> None:
        self.findings.append(Finding(place, code, message))
        if len(self.findings) > MOST_FAULTS:
            raise _TooManyFaults

    # --- the document -------------------------------------------------------------------------------------------------

    def rule_set(self, document: object) -> None:
        if not isinstance(document, Mapping):
            self._wrong_type((), document, 'an object {"rules": […]}')
            return
        self._known_fields((), document, ("rules", "all_day"))
        if not isinstance(document.get("all_day", False), bool):
            self._wrong_type(("all_day",), document["all_day"], "true or false")
        if "rules" not in document:
            self._add(("rules",), FaultCode.MISSING, "the list of rules is missing")
            return
        rules = document["rules"]
        if self._is_list(rules, ("rules",), "rules", language.MAX_RULES):
            for index, rule in enumerate(rules):
                self._rule(("rules", index), rule)
            self._names(rules)

    def _names(self, rules: list[Any]) -> None:
        first_seen: dict[str, int] = {}
        for index, rule in enumerate(rules):
            name = rule.get("name") if isinstance(rule, Mapping) else None
            if isinstance(name, str) and (first := first_seen.setdefault(name.strip(), index)) != index:
                place = ("rules", index, "name")
                self._add(place, FaultCode.DUPLICATE_NAME, f"rules.{first} has the same name; names must differ")

    def _rule(self, place: Place, rule: object) -> None:
        if not isinstance(rule, Mapping):
            self._wrong_type(place, rule, 'an object {"name", "action", "when"}')
            return
        self._known_fields(place, rule, ("name", "action", "when"))
        for field in ("name", "action", "when"):
            if field not in rule:
                self._add((*place, field), FaultCode.MISSING, f"a rule needs {field!r}")
        if "name" in rule and self._is_text(rule["name"], (*place, "name"), language.MAX_NAME):
            self._not_blank((*place, "name"), rule["name"])
        if "action" in rule and rule["action"] not in tuple(language.Action):
            self._add((*place, "action"), FaultCode.BAD_VALUE, 'expected "record" or "skip"')
        if "when" in rule:
            self._predicate((*place, "when"), rule["when"], depth=1)

    # --- predicates ---------------------------------------------------------------------------------------------------

    def _predicate(self, place: Place, predicate: object, *, depth: int) -> None:
        if not self._is_within_size(place, depth):
            return
        self._each_key_once(place, predicate)
        if not isinstance(predicate, Mapping):
            self._wrong_type(place, predicate, 'a predicate object such as {"internal": true}')
        elif not predicate:
            self._add(place, FaultCode.EMPTY, 'a predicate names one fact, or "all", "any" or "not"')
        elif len(predicate) > 1:
            names = ", ".join(_shown(key) for key in list(predicate)[:4])
            message = f'one key at a time, found {len(predicate)} ({names}); join them with "all" or "any"'
            self._add(place, FaultCode.SEVERAL_KEYS, message)
        else:
            ((key, test),) = predicate.items()
            self._keyed((*place, _step(key)), key, test, depth=depth)

    def _is_within_size(self, place: Place, depth: int) -> bool:
        self._nodes += 1
        if depth > language.MAX_DEPTH:
            self._add(place, FaultCode.TOO_DEEP, f"predicates nest at most {language.MAX_DEPTH} deep")
        elif self._nodes == language.MAX_NODES + 1:
            self._add(place, FaultCode.TOO_MANY, f"a rule set has at most {language.MAX_NODES} predicates")
        return depth <= language.MAX_DEPTH and self._nodes <= language.MAX_NODES

    def _keyed(self, place: Place, key: object, test: object, *, depth: int) -> None:
        if key == "not":
            self._predicate(place, test, depth=depth + 1)
        elif key in ("all", "any"):
            if self._is_list(test, place, "predicates", language.MAX_LIST, may_be_empty=False):
                for index, inner in enumerate(test):
                    self._predicate((*place, index), inner, depth=depth + 1)
        elif key in vocabulary.FACTS:
            self._fact(place, str(key), test)
        else:
            hint = _did_you_mean(key, (*vocabulary.FACTS, *vocabulary.CONNECTIVES))
            self._add(place, FaultCode.UNKNOWN_FACT, f"there is no fact {_shown(key)}{hint}")

    def _fact(self, place: Place, fact: str, test: object) -> None:
        if fact in vocabulary.TRUTH_FACTS:
            if not isinstance(test, bool):
                self._wrong_type(place, test, "true or false")
        elif fact in vocabulary.NUMBER_FACTS:
            self._number_test(place, fact, test)
        elif fact in vocabulary.TEXT_FACTS:
            self._text_test(place, fact, test)
        elif fact in vocabulary.SET_FACTS:
            self._set_test(place, fact, test)
        else:
            self._start_test(place, test)

    # --- tests, by the type of their fact -----------------------------------------------------------------------------

    def _number_test(self, place: Place, fact: str, test: object) -> None:
        if not isinstance(test, Mapping):
            expected = 'a number, or an object such as {"gte": 3}'
            if self._is_number(test, place, expected) and fact in vocabulary.COUNT_FACTS:
                self._count(place, test)
            return
        for name, bound in self._tests(place, test, vocabulary.NUMBER_TESTS):
            compares_whole = fact in vocabulary.COUNT_FACTS and name in ("eq", "ne")
            if self._is_number(bound, (*place, name), "a number") and compares_whole:
                self._count((*place, name), bound)

    def _is_number(self, value: object, place: Place, expected: str) -> TypeGuard[int | float]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong_type(place, value, expected)
            return False
        if abs(value) > language.MAX_NUMBER or math.isnan(value):
            limit = language.MAX_NUMBER
            self._add(place, FaultCode.OUT_OF_RANGE, f"expected a number from -{limit} to {limit}")
            return False
        return True

    def _count(self, place: Place, value: int | float) -> None:
        if value < 0 or value != int(value):
            self._add(place, FaultCode.BAD_VALUE, f"a count is a whole number from 0 on, and never {_shown(value)}")

    def _text_test(self, place: Place, fact: str, test: object) -> None:
        if isinstance(test, str):
            self._value(place, fact, test)
            return
        if not isinstance(test, Mapping):
            self._wrong_type(place, test, 'a text, or an object such as {"contains": "…"}')
            return
        for name, value in self._tests(place, test, vocabulary.TEXT_TESTS):
            if name == "in":
                self._values((*place, name), fact, value)
            elif name == "contains":
                self._contained((*place, name), value)
            else:
                self._pattern((*place, name), value)

    def _set_test(self, place: Place, fact: str, test: object) -> None:
        if not isinstance(test, Mapping):
            self._wrong_type(place, test, 'an object such as {"any_of": ["…"]}')
            return
        for name, values in self._tests(place, test, vocabulary.SET_TESTS):
            self._values((*place, name), fact, values)

    def _start_test(self, place: Place, test: object) -> None:
        if not isinstance(test, Mapping):
            self._wrong_type(place, test, 'an object such as {"weekdays": ["mon"], "timezone": "Europe/Berlin"}')
            return
        checks = {"weekdays": self._weekdays, "from": self._clock, "to": self._clock, "timezone": self._timezone}
        tests = dict(self._tests(place, test, vocabulary.START_TESTS))
        for name, value in tests.items():
            checks[name]((*place, name), value)
        if list(tests) == ["timezone"]:
            self._add(place, FaultCode.EMPTY, 'a time zone alone tests nothing; add "weekdays", "from" or "to"')
        if "from" in tests and tests["from"] == tests.get("to"):
            self._add((*place, "to"), FaultCode.EMPTY, '"from" and "to" are the same, so the window is empty')

    # --- values -------------------------------------------------------------------------------------------------------

    def _values(self, place: Place, fact: str, values: object) -> None:
        if self._is_list(values, place, "texts", language.MAX_LIST, may_be_empty=False):
            for index, value in enumerate(values):
                self._value((*place, index), fact, value)

    def _value(self, place: Place, fact: str, value: object) -> None:
        """A text that the fact is compared with as a whole."""
        if not self._is_text(value, place, language.MAX_TEXT) or self._is_attribute(place, value):
            return
        plain = vocabulary.plain_text(value)
        if fact in vocabulary.DOMAIN_FACTS:
            self._domain(place, plain)
        elif fact in vocabulary.ADDRESS_FACTS:
            self._address(place, plain)
        elif (choices := vocabulary.CHOICES.get(fact)) and plain.lower() not in choices:
            hint = _did_you_mean(plain, choices) or f"; one of {', '.join(choices)}"
            self._add(place, FaultCode.BAD_VALUE, f"{fact} is never {_shown(plain)}{hint}")

    def _domain(self, place: Place, value: str) -> None:
        if rule_domain(value) is None:
            is_address = rule_identity(value) is not None
            hint = "; test a whole address with attendee_emails or organizer_email" if is_address else ""
            self._add(place, FaultCode.BAD_DOMAIN, f'expected a domain such as "customer.com"{hint}')

    def _address(self, place: Place, value: str) -> None:
        if rule_identity(value) is None:
            is_domain = "@" in value and rule_domain(value) is not None
            hint = "; test a domain with attendee_domains or organizer_domain" if is_domain else ""
            self._add(place, FaultCode.BAD_ADDRESS, f'expected an address such as "ana@customer.com"{hint}')

    def _contained(self, place: Place, value: object) -> None:
        if self._is_text(value, place, language.MAX_TEXT) and self._not_blank(place, value):
            self._is_attribute(place, value)

    def _pattern(self, place: Place, value: object) -> None:
        if not self._is_text(value, place, language.MAX_PATTERN) or not self._not_blank(place, value):
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
            self._add(place, FaultCode.BAD_PATTERN, f"RE2 does not take this pattern: {reason}")
            self._search_steps += reason.steps
        if self._search_steps > limit:
            message = f"the patterns up to here compile to more than {limit} steps together"
            self._add(place, FaultCode.TOO_MANY, f"{message}, {text_search.STEPS_OF_A_SEARCH} for each search included")

    def _weekdays(self, place: Place, values: object) -> None:
        if not self._is_list(values, place, "weekdays", len(language.WEEKDAYS), may_be_empty=False):
            return
        for index, value in enumerate(values):
            if value not in language.WEEKDAYS:
                known = ", ".join(language.WEEKDAYS)
                self._add((*place, index), FaultCode.BAD_WEEKDAY, f"expected one of {known}, found {_shown(value)}")

    def _clock(self, place: Place, value: object) -> None:
        is_midnight_at_the_end = place[-1] == "to" and value == "24:00"
        if not is_midnight_at_the_end and not (isinstance(value, str) and _CLOCK.fullmatch(value)):
            self._add(place, FaultCode.BAD_TIME, 'expected a time HH:MM such as "09:00"')

    def _timezone(self, place: Place, value: object) -> None:
        if not self._is_text(value, place, language.MAX_TEXT) or self._is_attribute(place, value):
            return
        if value not in zone_names():
            hint = _did_you_mean(value, zone_names())
            message = f'expected an IANA time zone such as "Europe/Berlin", found {_shown(value)}{hint}'
            self._add(place, FaultCode.BAD_TIMEZONE, message)

    def _is_attribute(self, place: Place, value: str) -> bool:
        name = vocabulary.attribute_in(value)
        if name is not None and not vocabulary.is_attribute_name(name):
            message = 'after "$" comes an attribute\'s name (letters, digits, _ . -); write "$$" for a dollar sign'
            self._add(place, FaultCode.BAD_ATTRIBUTE, message)
        return name is not None

    # --- shapes -------------------------------------------------------------------------------------------------------

    def _tests(self, place: Place, test: Mapping[Any, Any], known: tuple[str, ...]) -> list[tuple[str, Any]]:
        """The tests that exist; faults for those that do not."""
        self._each_key_once(place, test)
        for key in [key for key in test if key not in known][:_SHOWN_FAULTS_PER_OBJECT]:
            hint = _did_you_mean(key, known) or f"; one of {', '.join(known)}"
            self._add((*place, _step(key)), FaultCode.UNKNOWN_TEST, f"there is no test {_shown(key)} here{hint}")
        if not test:
            self._add(place, FaultCode.EMPTY, f"expected at least one of {', '.join(known)}")
        return [(key, value) for key, value in test.items() if key in known]

    def _each_key_once(self, place: Place, value: object) -> None:
        for key in repeated_keys(value)[:_SHOWN_FAULTS_PER_OBJECT]:
            message = f"{_shown(key)} is there more than once, and only one of them would count"
            self._add((*place, _step(key)), FaultCode.DUPLICATE_KEY, message)

    def _known_fields(self, place: Place, value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
        self._each_key_once(place, value)
        for key in [key for key in value if key not in known][:_SHOWN_FAULTS_PER_OBJECT]:
            hint = _did_you_mean(key, known)
            self._add((*place, _step(key)), FaultCode.UNKNOWN_FIELD, f"there is no field {_shown(key)} here{hint}")

    def _is_list(
        self, value: object, place: Place, what: str, limit: int, *, may_be_empty: bool = True
    ) -> TypeGuard[list[Any]]:
        if not isinstance(value, list):
            self._wrong_type(place, value, f"a list of {what}")
            return False
        if len(value) > limit:
            self._add(place, FaultCode.TOO_MANY, f"at most {limit} {what} are allowed, found {len(value)}")
            return False
        if not value and not may_be_empty:
            self._add(place, FaultCode.EMPTY, f"expected at least one of the {what}")
        return True

    def _is_text(self, value: object, place: Place, limit: int) -> TypeGuard[str]:
        if not isinstance(value, str):
            self._wrong_type(place, value, "a text")
            return False
        if len(value) > limit:
            self._add(place, FaultCode.TOO_LONG, f"at most {limit} characters are allowed, found {len(value)}")
            return False
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            self._add(place, FaultCode.BAD_CHARACTER, "a text holds neither U+0000 nor lone surrogates")
            return False
        return True

    def _not_blank(self, place: Place, value: str) -> bool:
        if not value.strip():
            self._add(place, FaultCode.EMPTY, "expected a text that is not empty")
        return bool(value.strip())

    def _wrong_type(self, place: Place, value: object, expected: str) -> None:
        self._add(place, FaultCode.WRONG_TYPE, f"expected {expected}, found {_kind(value)}")


def _step(key: object) -> str:
    return str(key).replace("\0", "�")[:64]


def _shown(value: object) -> str:
    return repr(value if isinstance(value, str) else str(value))[:64]


def _kind(value: object) -> str:
    kinds = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else kinds.get(type(value), "something else")


def _did_you_mean(word: object, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(word)[:64].lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
