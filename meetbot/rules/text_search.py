"""Comparing text as people read it, and searching for patterns in bounded time (P11).

Text is compared in Unicode NFC with full case folding. Patterns are RE2's.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from meetbot.rules import unicode_boundaries

LARGEST_PROGRAM = 4_000
"""Steps one compiled pattern may have. re2 is linear in text times program, so both are bounded."""

LARGEST_PROGRAMS_TOTAL = 10_000
"""Steps all patterns of one rule set may have together, `STEPS_OF_A_SEARCH` of each included. Three such sets (locked
before, the user's own, locked after) search ASCII texts of 200 characters."""

STEPS_OF_A_SEARCH = 10
"""What it costs to search at all, beside the steps of the program."""

MOST_WORK = 3 * LARGEST_PROGRAMS_TOTAL * 200
"""Steps times bytes that all searches of one decision may take together: 20 ms or so, if patterns and text are made
for each other to be slow (3 to 4 ns for each step at each byte)."""

_LONGEST_SEARCHED_BYTES = 100_000

_PROGRAM_MEMORY_BYTES = (3 << 13, 3 << 15)
"""The least that holds the program is taken. What it leaves is for re2's automaton: enough for patterns that people write,
and too little to build states for long if each byte of a hostile text needs a new one. Without them re2 is faster."""


class BadPattern(ValueError):
    """The pattern cannot be used; the message is the reason.

    ``steps``: how many of a rule set's steps it took to find out.
    """

    def __init__(self, reason: str, *, steps: int = STEPS_OF_A_SEARCH) -> None:
        super().__init__(reason)
        self.steps = steps


def fold(text: str) -> str:
    """Return the same for texts that differ only in letter case or in composed accents."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", composed.casefold())


class Form:
    """One form of a text that is searched.

    If it has other letters than ASCII, it is marked for patterns that test word boundaries.
    """

    __slots__ = ("_marked", "_text", "is_ascii", "places", "plain")

    def __init__(self, text: str) -> None:
        self.places = len(text) + 1
        self.plain = text.encode("utf-8", "replace")
        self.is_ascii = text.isascii()
        self._text = text
        self._marked: dict[int, bytes] = {}

    def marked(self, marks: int) -> bytes:
        """Return the text with so many marks at each place, as `unicode_boundaries` writes it."""
        known = self._marked.get(marks)
        if known is None:
            known = self._marked[marks] = unicode_boundaries.marked(self._text, marks).encode("utf-8", "replace")
        return known


def searchable(text: str) -> tuple[Form, ...]:
    """Return the forms of a text that a pattern searches: the text and, if needed, its fold.

    RE2 ignores case letter by letter. A fold that is more than that (``Straße``, ``strasse``) is searched as well.
    """
    if text.isascii():
        return (Form(text),)
    composed = unicodedata.normalize("NFC", text)
    folded = fold(text)
    letter_by_letter = len(folded) == len(composed) and folded == composed.lower()
    return (Form(composed),) if letter_by_letter else (Form(composed), Form(folded))


@dataclass(frozen=True, slots=True)
class Program:
    """A pattern as RE2 compiled it. ``steps``: its instructions and those of any search."""

    compiled: re2._Regexp
    steps: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, searched anywhere, without regard to letter case.

    ``for_marked`` searches texts that have ``marks`` marks at each place; None if the pattern tests no word boundary.
    """

    plain: Program
    for_marked: Program | None
    marks: int

    def found_in(self, forms: tuple[Form, ...]) -> bool:
        """Return whether one of the forms holds the pattern."""
        for form in forms:
            program, text = self.plain, form.plain
            if self.for_marked is not None and not form.is_ascii:
                program, text = self.for_marked, form.marked(self.marks)
            if program.compiled.search(text) is not None:
                return True
        return False


class Searches:
    """All the patterns that one decision may search for.

    How long a text they can search follows from what they cost together: a text is searched by all of them or by none.
    """

    __slots__ = ("_mark_steps", "_steps", "_steps_beyond_ascii", "longest_ascii")

    def __init__(self) -> None:
        self._steps = self._steps_beyond_ascii = self._mark_steps = 0
        self.longest_ascii = _LONGEST_SEARCHED_BYTES

    def add(self, pattern: Pattern) -> None:
        """Count in one more pattern."""
        beyond_ascii = pattern.for_marked or pattern.plain
        self._steps += pattern.plain.steps
        self._steps_beyond_ascii += beyond_ascii.steps
        self._mark_steps += beyond_ascii.steps * unicode_boundaries.MARK_BYTES * pattern.marks
        self.longest_ascii = min(_LONGEST_SEARCHED_BYTES, MOST_WORK // self._steps)

    def can_search(self, forms: tuple[Form, ...]) -> bool:
        """Return whether all patterns together may search the text."""
        if len(forms) == 1 and forms[0].is_ascii:
            return len(forms[0].plain) <= self.longest_ascii
        return sum(map(self._work, forms)) <= MOST_WORK

    def _work(self, form: Form) -> int:
        if form.is_ascii:
            return self._steps * len(form.plain)
        return self._steps_beyond_ascii * len(form.plain) + self._mark_steps * form.places


def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern.

    Raises `BadPattern` with RE2's own reason, or because the compiled pattern would be too large.
    """
    with_folds = _with_folds(unicodedata.normalize("NFC", pattern))
    plain = _compiled(with_folds)
    rewritten = unicode_boundaries.rewritten(with_folds)
    if rewritten is None:
        return Pattern(plain, None, 0)
    try:
        return Pattern(plain, _compiled(rewritten.pattern), rewritten.marks)
    except BadPattern:
        return Pattern(plain, None, 0)


def _compiled(pattern: str) -> Program:
    compiled = _fitted(pattern)
    size: int = compiled.programsize
    if not 0 < size <= LARGEST_PROGRAM:
        reason = f"pattern too large: compiles to {size} steps, at most {LARGEST_PROGRAM} are allowed"
        raise BadPattern(reason, steps=size)
    return Program(compiled, size + STEPS_OF_A_SEARCH)


def _fitted(pattern: str) -> re2._Regexp:
    *smaller, largest = _PROGRAM_MEMORY_BYTES
    for memory in smaller:
        with contextlib.suppress(re2.error, UnicodeEncodeError):
            return re2.compile(pattern, _options(memory))
    try:
        return re2.compile(pattern, _options(largest))
    except UnicodeEncodeError:
        raise BadPattern("not valid Unicode") from None
    except re2.error as error:
        reason = _reason(error)
        raise BadPattern(reason, steps=LARGEST_PROGRAM if "too large" in reason else STEPS_OF_A_SEARCH) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _options(memory_bytes: int) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = memory_bytes
    return options


def _with_folds(pattern: str) -> str:
    """Return the pattern with letters that fold to several letters in both forms.

    re2 folds letter by letter, so ``ß`` is written to stand for ``ss`` too, but not inside of classes. Patterns with
    ``\\Q…\\E`` quotes stay as they are.
    """
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
