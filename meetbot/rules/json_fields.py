"""Reading the fields of a JSON object by their types, with the path of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

_WordT = TypeVar("_WordT", bound=StrEnum)

_DATE: Final = re.compile(r"\s*\d{4}-?\d{2}-?\d{2}\s*", re.ASCII)
_EXPECTED_TIME: Final = "expected an RFC 3339 time such as 2026-03-02T09:00:00Z"
_LONGEST_NAME: Final = 64


class BadLine(ValueError):
    """The line cannot be decided on.

    ``path`` is the place of the fault and the message its reason; no value of the line is repeated.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object at its place in the line. A field that is null reads as if it were left out."""

    values: Mapping[str, Any]
    place: str

    @classmethod
    def of(cls, value: object, place: str) -> Fields:
        """Return the fields of a value that must be an object.

        Raises `BadLine`, as all of the readers do.
        """
        if not isinstance(value, Mapping):
            raise BadLine(place, "expected an object")
        return cls(value, place)

    def path(self, name: str) -> str:
        """Return the path of a field, such as ``event.attendees.0.email``."""
        return f"{self.place}.{name}" if self.place else name

    def get(self, name: str) -> Any:
        """Return a field as it is; None if it is left out."""
        return self.values.get(name)

    def refuse_unknown(self, known: Iterable[str], hint: str = "") -> None:
        """Refuse fields that are not known; ``hint`` is the end of the message."""
        unknown = next((name for name in self.values if name not in known), None)
        if unknown is not None:
            raise BadLine(self.path(unknown[:_LONGEST_NAME]), f"there is no such field here{hint}")

    def text(self, name: str) -> str:
        """Return a text; "" if it is left out."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise BadLine(self.path(name), "expected a text")
        return value or ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; none if it is left out."""
        values = self.get(name)
        if values is None:
            return ()
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BadLine(self.path(name), "expected a list of texts")
        return tuple(values)

    def truth(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value, or the default if it is left out."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadLine(self.path(name), "expected true or false")
        return default if value is None else value

    def word(self, name: str, words: type[_WordT]) -> _WordT | None:
        """Return the member that a text names, in any letter case; None if it is left out."""
        value = self.get(name)
        if value is None:
            return None
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in tuple(words):
            raise BadLine(self.path(name), f"expected one of {', '.join(words)}")
        return words(word)

    def instant(self, name: str, *, all_day: bool) -> datetime | None:
        """Return a time in UTC; None if it is left out.

        Of an all-day event only the date counts, as it is written in any zone: it becomes the same date in UTC.
        """
        value = self.get(name)
        if value is None or value == "":
            return None
        written = _written(value, self.path(name))
        return written.replace(tzinfo=UTC) if all_day else _in_utc(written, self.path(name))


def instant(value: object, path: str) -> datetime:
    """Return an RFC 3339 time in UTC.

    A date is its midnight; a time without an offset is in UTC.
    """
    return _in_utc(_written(value, path), path)


def is_date(value: object) -> bool:
    """Return whether a value is a date without a time of day."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def _in_utc(written: datetime, path: str) -> datetime:
    try:
        return (written.replace(tzinfo=UTC) if written.tzinfo is None else written).astimezone(UTC)
    except OverflowError:
        raise BadLine(path, _EXPECTED_TIME) from None


def _written(value: object, path: str) -> datetime:
    """The time as it stands there, with its offset if it has one."""
    if not isinstance(value, str):
        raise BadLine(path, _EXPECTED_TIME)
    try:
        return datetime.fromisoformat(value.strip().upper())
    except ValueError:
        raise BadLine(path, _EXPECTED_TIME) from None
