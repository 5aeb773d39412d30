"""Word boundaries in all alphabets, for an engine with an ASCII-only ``\\b``.

RE2 looks at single bytes when it tests ``\\b``: before the ``Ä`` of ``Ärztin`` it sees none. So a text with such letters is
searched in another form: before, between and after its characters stand marks that say what is true of that place (a
word begins or ends here, the text does). A pattern is rewritten to match that form: each of its assertions takes a mark
that says so, each of its characters passes over marks. As a place has as many marks as the pattern has assertions, any
number of them can be tested there. All else stays RE2, and linear.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

_FIRST_MARK: Final = 0x80
_MARK_COUNT: Final = 32
MARK_BYTES: Final = 2
"""The marks are the C1 control characters: of two bytes only, and in no text that people write."""

_WORD_EDGE: Final = 16
_TEXT_START: Final = 8
_TEXT_END: Final = 4
_LINE_START: Final = 2
_LINE_END: Final = 1
"""What a mark says, as bits of its distance from the first."""

_ANY_MARK: Final = r"\x{80}-\x{9f}"
_C1: Final = re.compile("[\x80-\x9f]")
_JOINERS: Final = frozenset("_\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")


class Rewritten(NamedTuple):
    """A rewritten pattern. ``marks``: how many of them the text must have at each place."""

    pattern: str
    marks: int


def marked(text: str, marks: int) -> str:
    """Return the form of the text that a rewritten pattern searches."""
    plain = _C1.sub("\N{REPLACEMENT CHARACTER}", text)
    places = _word_edges(plain)
    places[0] |= _TEXT_START | _LINE_START
    places[-1] |= _TEXT_END | _LINE_END
    for line_end in re.finditer("\n", plain):
        places[line_end.start()] |= _LINE_END
        places[line_end.end()] |= _LINE_START
    runs = _runs(marks)
    return "".join([part for says, letter in zip(places, (*plain, ""), strict=True) for part in (runs[says], letter)])


@functools.lru_cache(maxsize=128)
def _runs(marks: int) -> tuple[str, ...]:
    """What stands at a place, by what is true of it."""
    return tuple(chr(_FIRST_MARK + says) * marks for says in range(_MARK_COUNT))


def _word_edges(text: str) -> list[int]:
    """Return for each place around the characters whether a word begins or ends there."""
    edges = []
    was_word = False
    for letter in text:
        is_word = letter.isalnum() or letter in _JOINERS or unicodedata.category(letter)[0] == "M"
        edges.append(_WORD_EDGE if is_word is not was_word else 0)
        was_word = is_word
    edges.append(_WORD_EDGE if was_word else 0)
    return edges


def rewritten(pattern: str) -> Rewritten | None:
    """Return the pattern for marked texts; None if it needs none or cannot be rewritten.

    It needs none if it tests no word boundary; it cannot be rewritten if it could match a mark. RE2 must have taken it.
    """
    if r"\b" not in pattern and r"\B" not in pattern:
        return None
    try:
        return _Rewriter().rewritten(pattern)
    except _CannotBeRewritten:
        return None


class _CannotBeRewritten(Exception):
    pass


class _Group(NamedTuple):
    flags: frozenset[str]
    assertions: int


_TOKEN: Final = re.compile(
    r"""
      (?P<group>   \( (?: \?P?<\w+> | \?(?P<flags>[imsU-]*)(?P<scope>[:)]) )? )
    | (?P<close>   \) )
    | (?P<either>  \| )
    | (?P<times>   [*+?]\?? | \{ (?P<least>\d+) (?: (?P<range>,) (?P<most>\d*) )? \} \?? )
    | (?P<assert>  \\[bBAz] | \^ | \$ )
    | (?P<set>     \[ )
    | (?P<property>\\[pP] (?: \{\^?\w+\} | \w ) )
    | (?P<negated> \\[DSW] )
    | (?P<code>    \\x\{[0-9A-Fa-f]+\} | \\x[0-9A-Fa-f]{2} | \\[0-7]{1,3} )
    | (?P<odd>     \\[QEC] )
    | (?P<any>     \. )
    | (?P<single>  \\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)

_SET_ITEM: Final = re.compile(
    r"""
      (?P<posix>   \[:\^?\w+:\] )
    | (?P<property>\\[pP] (?: \{\^?\w+\} | \w ) )
    | (?P<negated> \\[DSW] )
    | (?P<code>    \\x\{[0-9A-Fa-f]+\} | \\x[0-9A-Fa-f]{2} | \\[0-7]{1,3} )
    | (?P<single>  \\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)

_PROPERTY: Final = re.compile(r"\\(?P<kind>[pP])\{?(?P<inverse>\^?)(?P<name>\w+)\}?")
_OF_MARKS: Final = frozenset(("C", "Cc", "Any", "Common"))


class _Rewriter:
    def __init__(self) -> None:
        self._flags: frozenset[str] = frozenset()
        self._groups: list[_Group] = []
        self._assertions = 0
        self._most_assertions = 0
        self._just_closed = 0
        """Assertions in the group, or of the assertion, that ended just now: what a repetition would repeat."""

    def rewritten(self, pattern: str) -> Rewritten:
        parts: list[str] = []
        position = 0
        while position < len(pattern):
            token = _TOKEN.match(pattern, position)
            if token is None or token.lastgroup is None:
                raise _CannotBeRewritten
            if token.lastgroup == "set":
                part, position = self._set(pattern, position)
            else:
                part, position = self._take(token), token.end()
            parts.append(part)
        self._end_alternative()
        return Rewritten("".join(parts), self._most_assertions)

    def _take(self, token: re.Match[str]) -> str:
        kind = next(name for name in _KINDS if token[name] is not None)
        if kind == "times":
            return self._times(token)
        self._just_closed = 0
        return _KINDS[kind](self, token)

    # --- structure ----------------------------------------------------------------------------------------------------

    def _open(self, token: re.Match[str]) -> str:
        if token["flags"] is None:
            if token.string.startswith("?", token.end()):
                raise _CannotBeRewritten
            self._groups.append(_Group(self._flags, self._assertions))
            return token[0]
        flags = _changed(self._flags, token["flags"])
        if token["scope"] == ":":
            self._groups.append(_Group(self._flags, self._assertions))
        self._flags = flags
        # Letter case only is RE2's business: the others are settled in here.
        return _letter_case_only(token)

    def _close(self, token: re.Match[str]) -> str:
        if not self._groups:
            raise _CannotBeRewritten
        group = self._groups.pop()
        self._flags = group.flags
        self._just_closed = self._assertions - group.assertions
        return token[0]

    def _either(self, token: re.Match[str]) -> str:
        if not self._groups:
            self._end_alternative()
        return token[0]

    def _end_alternative(self) -> None:
        self._most_assertions = max(self._most_assertions, self._assertions)
        self._assertions = 0

    def _times(self, token: re.Match[str]) -> str:
        """Return the quantifier as it is; raise if it counts repetitions of an assertion.

        An extra empty round of a star changes nothing; a counted repetition would need marks of its own.
        """
        if self._just_closed and token["least"] is not None:
            raise _CannotBeRewritten
        return token[0]

    def _assertion(self, token: re.Match[str]) -> str:
        self._assertions += 1
        self._just_closed = 1
        return _marks_that(_TRUE_OF[self._anchor(token[0])])

    def _anchor(self, assertion: str) -> str:
        if "m" in self._flags or assertion not in ("^", "$"):
            return assertion
        return r"\A" if assertion == "^" else r"\z"

    # --- characters ---------------------------------------------------------------------------------------------------

    def _any(self, _: re.Match[str]) -> str:
        return _after_marks(f"[^{_ANY_MARK}]" if "s" in self._flags else rf"[^\n{_ANY_MARK}]")

    def _property(self, token: re.Match[str]) -> str:
        name, inverted = _property(token[0])
        return _after_marks(rf"[^\p{{{name}}}{_ANY_MARK}]" if inverted else rf"\p{{{name}}}")

    def _negated(self, token: re.Match[str]) -> str:
        return _after_marks(f"[^{token[0].lower()}{_ANY_MARK}]")

    def _character(self, token: re.Match[str]) -> str:
        _refuse_marks(_code_point(token[0]), _code_point(token[0]))
        return _after_marks(token[0])

    def _unknown(self, _: re.Match[str]) -> str:
        raise _CannotBeRewritten

    def _set(self, pattern: str, start: int) -> tuple[str, int]:
        self._just_closed = 0
        negated = pattern.startswith("^", start + 1)
        first = start + 1 + negated
        items = list(_set_items(pattern, first))
        end = items[-1].end() if items else first
        if not items or not pattern.startswith("]", end):
            raise _CannotBeRewritten
        # A bracket stands for itself only if it is first, and in the rewritten set it is not.
        body = pattern[first:end].replace("]", r"\]", pattern.startswith("]", first))
        if negated:
            return _after_marks(f"[^{_ANY_MARK}{body}]"), end + 1
        _refuse_sets_of_marks(items)
        return _after_marks(f"[{body}]"), end + 1


_KINDS: Final[dict[str, Callable[[_Rewriter, re.Match[str]], str]]] = {
    "group": _Rewriter._open,
    "close": _Rewriter._close,
    "either": _Rewriter._either,
    "times": _Rewriter._times,
    "assert": _Rewriter._assertion,
    "property": _Rewriter._property,
    "negated": _Rewriter._negated,
    "code": _Rewriter._character,
    "odd": _Rewriter._unknown,
    "any": _Rewriter._any,
    "single": _Rewriter._character,
}

_TRUE_OF: Final[dict[str, Callable[[int], bool]]] = {
    r"\b": lambda says: bool(says & _WORD_EDGE),
    r"\B": lambda says: not says & _WORD_EDGE,
    r"\A": lambda says: bool(says & _TEXT_START),
    r"\z": lambda says: bool(says & _TEXT_END),
    "^": lambda says: bool(says & _LINE_START),
    "$": lambda says: bool(says & _LINE_END),
}


def _marks_that(hold: Callable[[int], bool]) -> str:
    return "[" + "".join(rf"\x{{{_FIRST_MARK + says:x}}}" for says in range(_MARK_COUNT) if hold(says)) + "]"


def _after_marks(character: str) -> str:
    return f"(?:[{_ANY_MARK}]*{character})"


def _changed(flags: frozenset[str], change: str) -> frozenset[str]:
    on, _, off = change.partition("-")
    return (flags | frozenset(on)) - frozenset(off)


def _letter_case_only(token: re.Match[str]) -> str:
    on, _, off = token["flags"].partition("-")
    flags = ("i" if "i" in on else "") + ("-i" if "i" in off else "")
    if token["scope"] == ":":
        return f"(?{flags}:"
    return f"(?{flags})" if flags else ""


# --- sets -------------------------------------------------------------------------------------------------------------


def _set_items(pattern: str, first: int) -> Iterator[re.Match[str]]:
    """Return the items of a set, up to its closing bracket.

    A bracket that comes first closes nothing.
    """
    position = first
    while position < len(pattern) and (position == first or pattern[position] != "]"):
        item = _SET_ITEM.match(pattern, position)
        if item is None:
            raise _CannotBeRewritten
        yield item
        position = item.end()


def _refuse_sets_of_marks(items: Iterable[re.Match[str]]) -> None:
    """Refuse a set in which an item, or a range between two items, holds a mark."""
    code_points: list[int | None] = []
    for item in items:
        if item["negated"] is not None or (item["posix"] is not None and "^" in item[0]):
            raise _CannotBeRewritten
        if item["property"] is not None and _property(item[0])[1]:
            raise _CannotBeRewritten
        code_points.append(_code_point(item[0]) if item["code"] or item["single"] else None)
    for index, code_point in enumerate(code_points):
        if code_point is not None:
            _refuse_marks(code_point, code_point)
        if code_point == ord("-") and 0 < index < len(code_points) - 1:
            low, high = code_points[index - 1], code_points[index + 1]
            _refuse_marks(low if low is not None else 0, high if high is not None else 0)


def _refuse_marks(low: int, high: int) -> None:
    if low < _FIRST_MARK + _MARK_COUNT and high >= _FIRST_MARK:
        raise _CannotBeRewritten


def _property(text: str) -> tuple[str, bool]:
    """Return the name of a Unicode property, and whether it is negated."""
    found = _PROPERTY.fullmatch(text)
    if found is None or found["name"] in _OF_MARKS:
        raise _CannotBeRewritten
    return found["name"], (found["kind"] == "P") is not bool(found["inverse"])


def _code_point(text: str) -> int:
    if len(text) <= 2:
        # A letter, or one after a backslash. Which control character it names does not matter: none is a mark.
        return ord(text[-1])
    return int(text[1:], 8) if text[1] != "x" else int(text[2:].strip("{}"), 16)
