"""The faults of a rule set document, and the checks of shape that every part of it needs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeGuard

from meetbot.domain.json_objects import repeated_keys

MOST_FAULTS: Final = 100
"""More are not looked for: they would not be read, and finding them takes time."""

_SHOWN_FAULTS_PER_OBJECT: Final = 20

Place = tuple[str | int, ...]
"""The keys and indexes that lead from the document to a value."""


class FaultCode(StrEnum):
    """What is wrong. Customers see these values."""

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
    """One fault, its place, and what to write instead."""

    place: Place
    code: FaultCode
    message: str

    @property
    def path(self) -> str:
        """The place as customers see it: ``rules.2.when.all.0.title``."""
        return ".".join(map(str, self.place))


class TooManyFaults(Exception):
    """More than `MOST_FAULTS` were found."""


class Findings:
    """The faults found so far, in reading order, and checks that add to them."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def add(self, place: Place, code: FaultCode, message: str) -> None:
        """Add a fault. Raises `TooManyFaults` if there are more than `MOST_FAULTS`."""
        self.found.append(Finding(place, code, message))
        if len(self.found) > MOST_FAULTS:
            raise TooManyFaults

    def known_tests(self, place: Place, test: Mapping[Any, Any], known: tuple[str, ...]) -> list[tuple[str, Any]]:
        """Return the tests of a fact that exist; the others are faults."""
        self.each_key_once(place, test)
        for key in [key for key in test if key not in known][:_SHOWN_FAULTS_PER_OBJECT]:
            hint = did_you_mean(key, known) or f"; one of {', '.join(known)}"
            self.add((*place, step(key)), FaultCode.UNKNOWN_TEST, f"there is no test {shown(key)} here{hint}")
        if not test:
            self.add(place, FaultCode.EMPTY, f"expected at least one of {', '.join(known)}")
        return [(key, value) for key, value in test.items() if key in known]

    def each_key_once(self, place: Place, value: object) -> None:
        """Check that an object has no key twice."""
        for key in repeated_keys(value)[:_SHOWN_FAULTS_PER_OBJECT]:
            message = f"{shown(key)} is there more than once, and only one of them would count"
            self.add((*place, step(key)), FaultCode.DUPLICATE_KEY, message)

    def known_fields(self, place: Place, value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
        """Check that an object has no other fields than the known ones."""
        self.each_key_once(place, value)
        for key in [key for key in value if key not in known][:_SHOWN_FAULTS_PER_OBJECT]:
            hint = did_you_mean(key, known)
            self.add((*place, step(key)), FaultCode.UNKNOWN_FIELD, f"there is no field {shown(key)} here{hint}")

    def is_list(
        self, value: object, place: Place, what: str, limit: int, *, may_be_empty: bool = True
    ) -> TypeGuard[list[Any]]:
        """Check that a value is a list of at most ``limit`` items; ``what`` says of what."""
        if not isinstance(value, list):
            self.wrong_type(place, value, f"a list of {what}")
            return False
        if len(value) > limit:
            self.add(place, FaultCode.TOO_MANY, f"at most {limit} {what} are allowed, found {len(value)}")
            return False
        if not value and not may_be_empty:
            self.add(place, FaultCode.EMPTY, f"expected at least one of the {what}")
        return True

    def is_text(self, value: object, place: Place, limit: int) -> TypeGuard[str]:
        """Check that a value is a text of at most ``limit`` characters, all of which can be stored."""
        if not isinstance(value, str):
            self.wrong_type(place, value, "a text")
            return False
        if len(value) > limit:
            self.add(place, FaultCode.TOO_LONG, f"at most {limit} characters are allowed, found {len(value)}")
            return False
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            self.add(place, FaultCode.BAD_CHARACTER, "a text holds neither U+0000 nor lone surrogates")
            return False
        return True

    def is_not_blank(self, place: Place, value: str) -> bool:
        """Check that a text holds more than spaces."""
        if not value.strip():
            self.add(place, FaultCode.EMPTY, "expected a text that is not empty")
        return bool(value.strip())

    def wrong_type(self, place: Place, value: object, expected: str) -> None:
        """Add the fault of a value that is of another type than expected."""
        self.add(place, FaultCode.WRONG_TYPE, f"expected {expected}, found {_kind(value)}")


def step(key: object) -> str:
    """Return an object's key as a step of a place: bounded, and fit for a database."""
    return str(key).replace("\0", "�")[:64]


def shown(value: object) -> str:
    """Return a value as messages show it, in quotes and bounded."""
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


def did_you_mean(word: object, known: Collection[str]) -> str:
    """Return the end of a message that names the most similar known word; "" if none is similar."""
    near = difflib.get_close_matches(str(word)[:64].lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
