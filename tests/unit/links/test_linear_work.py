"""The work for a text grows no faster than its length, for any text.

Two measures, neither of them a clock: the calls that Python makes, counted; and, since what a regular expression does
inside cannot be counted, a form of our expressions in which a search cannot begin the same long run again and again.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import meetbot.links
from meetbot.domain.event import Provider
from meetbot.links import find_meeting_link

# How the standard library takes an expression apart; it has no public name.
_parser: Any = importlib.import_module("re._parser")
_constants: Any = importlib.import_module("re._constants")

_SMALL, _LARGE = 15_000, 30_000

_PIECES = st.sampled_from(
    ["https://zoom.us/j/", "https://zoom.us/", "https:/", "zoom.us", "zoom.", "msteams:", "s:", "javascript:", "://", ",", ";",
     ")", "(", "](", "|", ".", ".)", "a.", "a-", "/", "?", "&", "&amp;", "&amp;amp;", "=", "=3D", "=\n", "=20\n", "%20", "%25",
     "%2F", "%3F", "*", "**A", "__;", "!", "\\", "\\n", "\n", "\r\n", "\n ", " ", "\t", "<", ">", "<https:", "<a href=", "</a>",
     "<br>", "<!--", "-->", "<script>", "x", "é", "，", "\u200b", "0", "12 ", "812 3456 7890 ", "Meeting ID: ", "Passcode: ",
     "Passcode:\n", "{", "}", '"', "'", "context={", "19:", "@thread.v2", "#", "-", "_", "\x1c", "\x1d", "\x1f",
     "https://urldefense.com/v3/__", "https://a.safelinks.protection.outlook.com/?url="]
)  # fmt: skip
_SHAPES = st.lists(_PIECES, min_size=1, max_size=6).map("".join)


def _calls(event: dict[str, Any], provider: Provider) -> int:
    count = 0

    def counted(_frame: FrameType, _what: str, _argument: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        find_meeting_link(provider, event)
    finally:
        sys.setprofile(before)
    return count


@settings(max_examples=120, deadline=None)
@given(_SHAPES, _SHAPES, st.sampled_from(["text", "html"]))
@example("", "https://zoom.us/rec/1,", "text")
@example("https://zoom.us/?", "https://zoom.us/rec/1;", "text")
@example("zoom.us\n", "<https:" + " " * 50, "text")
@example("<a href='https://zoom.us/j/987654321?tk=", "%20", "html")
@example("https://zoom.us/j/987654321\nPasscode:", "\n", "text")
def test_twice_the_text_costs_no_more_than_twice_the_calls(beginning: str, shape: str, kind: str) -> None:
    small, large = (
        _calls({"body": {"contentType": kind, "content": beginning + shape * (size // len(shape))}}, Provider.MICROSOFT)
        for size in (_SMALL, _LARGE)
    )
    assert large <= 2.5 * small + 2_000


# Tried at one place only; the last takes a line from where it begins, and the next begins behind that.
_NOT_SEARCHED_WITH = {"_AUTHORITY", "_GOES_ON", "_HOST", "_NO_PASSCODE", "_TIED_LINES"}
_REPETITIONS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
_LONG = 64


def _patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    for module in pkgutil.iter_modules(meetbot.links.__path__, "meetbot.links."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield name, value


def _begins_with_a_long_run(items: Sequence[Any], is_followed: bool = False) -> bool:
    """Return whether a search tries an endless run from each of its characters.

    Such a search may fail behind the run each time.
    """
    if not items:
        return False
    (what, argument), is_followed = items[0], is_followed or len(items) > 1
    if what in _REPETITIONS:
        return bool(argument[1] > _LONG and is_followed) or _begins_with_a_long_run(list(argument[2]), is_followed)
    if what is _constants.SUBPATTERN:
        return _begins_with_a_long_run(list(argument[3]), is_followed)
    if what is _constants.ATOMIC_GROUP:
        return _begins_with_a_long_run(list(argument), is_followed)
    if what is _constants.BRANCH:
        return any(_begins_with_a_long_run(list(branch), is_followed) for branch in argument[1])
    return False


def test_no_pattern_for_searching_begins_with_an_endless_run() -> None:
    bad = {
        name
        for name, pattern in _patterns()
        if _begins_with_a_long_run(list(_parser.parse(pattern.pattern, pattern.flags)))
    }
    assert bad == _NOT_SEARCHED_WITH


@pytest.mark.parametrize("pattern", [r"[ \t]*\r?\n", r"(?:%20|%0a)++$", r"(a|b*c)", r"(?:x{1,100})?y"])
def test_the_check_of_patterns_finds_bad_patterns(pattern: str) -> None:
    assert _begins_with_a_long_run(list(_parser.parse(pattern)))
