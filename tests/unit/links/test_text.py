"""Text made readable, and the parts of it that are read."""

from __future__ import annotations

import pytest

from meetbot.links.lookup import Lookup
from meetbot.links.text import readable_parts, repair, unescape


def test_text_without_a_known_host_is_not_read() -> None:
    assert list(readable_parts("Lunch in the Zoom room, see example.com", Lookup())) == []


@pytest.mark.parametrize(
    "text",
    [
        "https://z&#111;om.us/j/1",
        "https://zo=\nom.us/j/1",
        "https://zo\u200bom.us/j/1",
        "https://zoom&period;us/j/1",
    ],
)
def test_disguised_hosts_are_read(text: str) -> None:
    assert list(readable_parts(text, Lookup())) == [text]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("https://zoom.us/j/1?pwd=3Da=\r\nb=26tk=3Dc", "https://zoom.us/j/1?pwd=ab&tk=c"),
        ("https://zoom.us/j/1?pwd=3Dab=20\nmore", "https://zoom.us/j/1?pwd=ab \nmore"),
        ('<a href=3D"https://zoom.us/j/1">x</a>', '<a href="https://zoom.us/j/1">x</a>'),
    ],
)
def test_quoted_printable_is_undone_if_there_is_evidence_of_it(text: str, plain: str) -> None:
    assert repair(text) == plain


def test_one_escaped_equals_sign_could_be_a_passcode() -> None:
    assert repair("https://zoom.us/j/1?pwd=3Dab") == "https://zoom.us/j/1?pwd=3Dab"


@pytest.mark.parametrize(
    "text",
    [
        "https://zoom.us/j/1?pwd=YWJj==\nMeeting",
        "https://zoom.us/j/1?pwd=\nabc",
        "https://example.com/?q=3D1 https://example.com/?q=3D2\nhttps://zoom.us/j/1?pwd=41bC",
        '<a class="x" href=\n"https://zoom.us/j/1">',
        "https://example.com/?q=3D1\nhttps://zoom.us/j/1?a=3D&pwd=x",
    ],
)
def test_a_line_that_cannot_be_quoted_printable_stays_as_it_is(text: str) -> None:
    assert repair(text).splitlines()[-1] == text.splitlines()[-1]


def test_a_line_that_is_quoted_printable_is_undone_beside_one_that_is_not() -> None:
    text = '<a class="x">\nhttps://zoom.us/j/1?pwd=3Da=\nb&tk=3Dc'
    assert repair(text) == '<a class="x">\nhttps://zoom.us/j/1?pwd=ab&tk=c'


def test_an_equals_sign_before_an_empty_line_is_no_soft_break() -> None:
    assert repair("a=\n\nb") == "a=\n\nb"


def test_entities_without_a_semicolon_stay_because_they_may_be_parameters() -> None:
    assert unescape("?a=1&copy=2&amp;amp;reg=3&lt=4") == "?a=1&copy=2&reg=3&lt=4"


def test_line_breaks_inside_angle_brackets_are_taken_out() -> None:
    assert unescape("a <https://zoom.us/j/\r\n  1> b\nc") == "a <https://zoom.us/j/1> b\nc"


def test_attributes_quoted_for_json_are_plain_attributes() -> None:
    assert repair(r"<a href=\"https://zoom.us/j/1\">x</a>") == '<a href="https://zoom.us/j/1">x</a>'
