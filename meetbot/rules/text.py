"""Comparing text as people read it (Unicode NFC, full case folding), and searching patterns in bounded time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from meetbot.rules import boundaries

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


class Form:
    """A text that is searched. With letters that are not ASCII it is marked too, for patterns that test word
    boundaries."""

    __slots__ = ("_marked", "_text", "is_ascii", "plain")

    def __init__(self, text: str) -> None:
        self.plain = text.encode("utf-8", "replace")
        self.is_ascii = text.isascii()
        self._text = text
        self._marked: dict[int, bytes] = {}

    def marked(self, marks: int) -> bytes:
        known = self._marked.get(marks)
        if known is None:
            known = self._marked[marks] = boundaries.marked(self._text, marks).encode("utf-8", "replace")
        return known


def searchable(text: str) -> tuple[Form, ...]:
    """What a pattern searches: the text, and its fold where that is more than one lower-case letter for each letter,
    which is all that re2 knows of (``Straße``, ``strasse``)."""
    if text.isascii():
        return (Form(text),)
    composed = unicodedata.normalize("NFC", text)
    folded = fold(text)
    letter_by_letter = len(folded) == len(composed) and folded == composed.lower()
    return (Form(composed),) if letter_by_letter else (Form(composed), Form(folded))


@dataclass(frozen=True, slots=True)
class Program:
    """What re2 made of a pattern, and how long a text it may search."""

    compiled: re2._Regexp
    size: int
    longest_text: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, searched anywhere, without regard to letter case. ``for_marked`` searches texts that have
    ``marks`` marks at each place; None where the pattern tests no word boundary."""

    plain: Program
    for_marked: Program | None
    marks: int

    def found_in(self, forms: tuple[Form, ...], *, undecided: bool) -> bool:
        """``undecided`` is the answer where the text is too long to be searched."""
        for form in forms:
            program, text = self.plain, form.plain
            if self.for_marked is not None and not form.is_ascii:
                program, text = self.for_marked, form.marked(self.marks)
            if len(text) > program.longest_text:
                return undecided
            if program.compiled.search(text) is not None:
                return True
        return False


def compile_pattern(pattern: str) -> Pattern:
    """Raises `BadPattern` with re2's own reason, or because the compiled pattern would be too large."""
    with_folds = _with_folds(unicodedata.normalize("NFC", pattern))
    plain = _compiled(with_folds)
    rewritten = boundaries.rewritten(with_folds)
    if rewritten is None:
        return Pattern(plain, None, 0)
    try:
        return Pattern(plain, _compiled(rewritten.pattern), rewritten.marks)
    except BadPattern:
        return Pattern(plain, None, 0)


def _compiled(pattern: str) -> Program:
    try:
        compiled = re2.compile(pattern, _options())
    except UnicodeEncodeError:
        raise BadPattern("not valid Unicode") from None
    except re2.error as error:
        raise BadPattern(_reason(error)) from None
    size: int = compiled.programsize
    if not 0 < size <= LARGEST_PROGRAM:
        raise BadPattern(f"pattern too large: compiles to {size} steps, at most {LARGEST_PROGRAM} are allowed")
    return Program(compiled, size, min(_LONGEST_SEARCHED_BYTES, _LARGEST_SEARCH // size))


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
