"""Comparing text as people read it (Unicode NFC, full case folding), and searching patterns in bounded time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import re2

LARGEST_PROGRAM = 4_000
"""Instructions one compiled pattern may have. re2 is linear in text times program, so both are bounded."""

LARGEST_PROGRAMS_TOTAL = 20_000
"""Instructions all patterns of one rule set may have together."""

_LONGEST_SEARCHED_BYTES = 100_000
_LARGEST_SEARCH = 20_000_000
"""Program instructions times bytes: about 50 ms where re2 cannot use its automaton."""


class BadPattern(ValueError):
    """The pattern cannot be used; the message is the reason."""


def fold(text: str) -> str:
    """Two texts that differ in letter case or in composed accents only have the same fold."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", composed.casefold())


def searchable(text: str) -> tuple[bytes, ...]:
    """What a pattern searches: the text, and its fold where that is more than one lower-case letter for each letter,
    which is all that re2 knows of (``Straße``, ``strasse``)."""
    if text.isascii():
        return (text.encode(),)
    composed = unicodedata.normalize("NFC", text)
    folded = fold(text)
    letter_by_letter = len(folded) == len(composed) and folded == composed.lower()
    forms = (composed,) if letter_by_letter else (composed, folded)
    return tuple(form.encode("utf-8", "replace") for form in forms)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, searched anywhere, without regard to letter case."""

    compiled: re2._Regexp
    program_size: int
    longest_text: int

    def found_in(self, forms: tuple[bytes, ...], *, undecided: bool) -> bool:
        """``undecided`` is the answer where the text is too long to be searched."""
        for form in forms:
            if len(form) > self.longest_text:
                return undecided
            if self.compiled.search(form) is not None:
                return True
        return False


def compile_pattern(pattern: str) -> Pattern:
    """Raises `BadPattern` with re2's own reason, or because the compiled pattern would be too large."""
    try:
        compiled = re2.compile(_with_folds(unicodedata.normalize("NFC", pattern)), _options())
    except UnicodeEncodeError:
        raise BadPattern("not valid Unicode") from None
    except re2.error as error:
        raise BadPattern(_reason(error)) from None
    size: int = compiled.programsize
    if not 0 < size <= LARGEST_PROGRAM:
        raise BadPattern(f"pattern too large: compiles to {size} steps, at most {LARGEST_PROGRAM} are allowed")
    return Pattern(compiled, size, min(_LONGEST_SEARCHED_BYTES, _LARGEST_SEARCH // size))


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


def _with_folds(pattern: str) -> str:
    """re2 folds letter by letter. Letters that fold to several (``ß`` to ``ss``) stand for both forms, outside of
    classes and of ``\\Q…\\E`` quotes."""
    if pattern.isascii() or "\\Q" in pattern:
        return pattern
    return "".join(_units(pattern))


def _units(pattern: str) -> Iterator[str]:
    escaped = in_class = False
    for letter in pattern:
        folded = fold(letter)
        if escaped or in_class or len(folded) == 1:
            yield letter
        else:
            yield f"(?:{letter}|{folded})"
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter in "[]":
            in_class = letter == "["
