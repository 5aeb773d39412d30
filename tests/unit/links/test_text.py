"""Text made readable, and no more of it read than is good."""

from __future__ import annotations

import pytest

from meetbot.links.candidates import candidates
from meetbot.links.text import WHOLE, repaired, unescaped, worth_reading


def test_text_without_a_known_host_is_not_read() -> None:
    assert worth_reading("Lunch in the Zoom room, see example.com") == ""


@pytest.mark.parametrize("text", ["https://z&#111;om.us/j/1", "https://zo=\nom.us/j/1", "https://zo\u200bom.us/j/1"])
def test_disguised_hosts_are_read(text: str) -> None:
    assert worth_reading(text) == text


@pytest.mark.parametrize("junk", ["zoom.us ", "<a href=zoom.us>", "zoom.usü ", "zoom.us" + "x" * 20_000])
def test_of_long_text_only_so_much_is_read(junk: str) -> None:
    assert len(worth_reading(junk * (1_000_000 // len(junk)))) <= WHOLE + 10


def test_both_ends_of_long_text_are_read() -> None:
    read = worth_reading("first zoom.us " + "zoom.us " * 100_000 + " last")
    assert read.startswith("first")
    assert read.endswith("last")


def test_quoted_printable_is_undone_where_it_shows() -> None:
    assert repaired("https://zoom.us/j/1?pwd=3Da=\r\nb=26tk=3Dc") == "https://zoom.us/j/1?pwd=ab&tk=c"


def test_one_escaped_equals_sign_could_be_a_passcode() -> None:
    assert repaired("https://zoom.us/j/1?pwd=3Dab") == "https://zoom.us/j/1?pwd=3Dab"


def test_a_quoted_space_shows_that_text_is_quoted_printable() -> None:
    assert repaired("https://zoom.us/j/1?pwd=3Dab=20\nmore") == "https://zoom.us/j/1?pwd=ab \nmore"


def test_an_equals_sign_before_an_empty_line_is_no_soft_break() -> None:
    assert repaired("a=\n\nb") == "a=\n\nb"


def test_entities_without_semicolon_are_left_since_they_are_parameters_too() -> None:
    assert unescaped("?a=1&copy=2&amp;amp;reg=3&lt=4") == "?a=1&copy=2&reg=3&lt=4"


def test_line_breaks_inside_angle_brackets_are_taken_out() -> None:
    assert unescaped("a <https://zoom.us/j/\r\n  1> b\nc") == "a <https://zoom.us/j/1> b\nc"


def _first(text: str) -> str:
    return next(candidates(text))[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("(see https://zoom.us/j/1(a)).", "https://zoom.us/j/1(a)"),
        ("'https://zoom.us/j/1'x", "https://zoom.us/j/1"),
        ("“https://zoom.us/j/1”", "https://zoom.us/j/1"),
        ("https://zoom.us/j/1?pwd=a_b-c=", "https://zoom.us/j/1?pwd=a_b-c="),
        ("https://zoom.us/j/1)).,!?", "https://zoom.us/j/1"),
        ("_https://zoom.us/j/1?pwd=a_b_", "https://zoom.us/j/1?pwd=a_b"),
        ("to:zoom.us/j/1", "zoom.us/j/1"),
        ("https://example.com/a;https://zoom.us/j/1", "https://example.com/a"),
    ],
)
def test_an_address_ends_where_the_sentence_goes_on(text: str, address: str) -> None:
    assert _first(text) == address


@pytest.mark.parametrize(
    "text", ["jane@zoom.us/x", "https//zoom.us/j/1", "ftp://zoom.us/j/1", "x.zoom.us", "a\\zoom.us/j/1"]
)
def test_is_no_address(text: str) -> None:
    assert not [reading for readings in candidates(text) for reading in readings if "/j/1" in reading]


@pytest.mark.parametrize("text", ["https://zoom.us/j/1%3Fpwd%3Dab", "https://zoom.us/j/1&pwd=ab"])
def test_a_lost_question_mark_is_tried_behind_the_path(text: str) -> None:
    assert "https://zoom.us/j/1?pwd=ab" in next(candidates(text))


@pytest.mark.parametrize("text", ["https://zoom.us%3Fx@example.com/j/1", "https://zoom.us&x@example.com/j/1"])
def test_a_lost_question_mark_is_not_tried_in_the_host(text: str) -> None:
    assert list(candidates(text)) == [(text,)]


def test_a_very_long_word_is_read_in_pieces() -> None:
    found = [readings[0] for readings in candidates("x" * 50_000 + ",https://zoom.us/j/1," + "y" * 50_000)]
    assert any(address.startswith("https://zoom.us/j/1,yyy") for address in found)
    assert all(len(address) <= 8_000 for address in found)
