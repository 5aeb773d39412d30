"""Addresses cut out of text: where they begin and end, and what lies inside another one."""

from __future__ import annotations

from itertools import islice

import pytest

from meetbot.links.candidates import candidates


def _readings(text: str) -> list[tuple[str, ...]]:
    return [version.readings for versions in candidates(text) for version in islice(versions, 1)]


def _first(text: str) -> str:
    return _readings(text)[0][0]


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
        ("https://example.com,https://zoom.us/j/1", "https://example.com"),
        ("//zoom.us/j/1", "//zoom.us/j/1"),
    ],
)
def test_an_address_ends_before_the_rest_of_the_sentence(text: str, address: str) -> None:
    assert _first(text) == address


@pytest.mark.parametrize(
    "text", ["jane@zoom.us/x", "https//zoom.us/j/1", "ftp://zoom.us/j/1", "x.zoom.us", "a\\zoom.us/j/1"]
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    assert not [reading for readings in _readings(text) for reading in readings if "/j/1" in reading]


@pytest.mark.parametrize("text", ["https://zoom.us/j/1%3Fpwd%3Dab", "https://zoom.us/j/1&pwd=ab"])
def test_a_lost_question_mark_is_tried_behind_the_path(text: str) -> None:
    assert "https://zoom.us/j/1?pwd=ab" in _readings(text)[0]


@pytest.mark.parametrize("text", ["https://zoom.us%3Fx@example.com/j/1", "https://zoom.us&x@example.com/j/1"])
def test_a_lost_question_mark_is_not_tried_in_the_host(text: str) -> None:
    assert _readings(text) == [(text,)]


def test_an_address_in_the_midst_of_a_very_long_word_is_found() -> None:
    found = _readings("x" * 50_000 + ",https://zoom.us/j/1," + "y" * 50_000)
    assert any("https://zoom.us/j/1" in readings for readings in found)


@pytest.mark.parametrize("size", range(7_960, 8_020, 3))
def test_an_address_in_a_very_long_word_is_whole_at_any_position(size: int) -> None:
    word = "zoom.us/x," + "x" * size + ",https://zoom.us/j/987654321?pwd=abc," + "y" * size
    assert any("https://zoom.us/j/987654321?pwd=abc" in readings for readings in _readings(word))


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a,https://zoom.us/j/1",
        "https://example.com/a;https://zoom.us/j/1",
        "https://example.com/;https://zoom.us/j/1",
        "//example.com/a;https://zoom.us/j/1",
        "example.com/a;https://zoom.us/j/1",
        "foo://zoom.us/j/1",
        "https://zoom.us.example.com/a;https://zoom.us/j/1",
        "https://zoom.us@example.com/a;https://zoom.us/j/1",
        "https://example.com/?x=1,https://zoom.us/j/1",
        "https://example.com/?x=1;https://zoom.us/j/1",
        "https://example.com/r)https://zoom.us/j/1",
        "https://example.com/r]https://zoom.us/j/1",
        "https://example.com/r|https://zoom.us/j/1",
        "https://example.com/#,https://zoom.us/j/1",
        "https://example.com/x%3Fu=,https://zoom.us/j/1",
        "https://example.com/?u=éhttps://zoom.us/j/1",
        "https://example.com;zoom.us/j/1",
        "example.com/?x=1,zoom.us/j/1",
        "example.com/?x=1,https://zoom.us/j/1",
        "https://example.com/?" + "x" * 9_000 + ",https://zoom.us/j/1",
        "xhttps://zoom.us/j/1",
        "git+https://zoom.us/j/1",
        "javascript:https://zoom.us/j/1",
        "JavaScript:x;https://zoom.us/j/1",
        "view-source:https://zoom.us/j/1",
        "data:text/html,https://zoom.us/j/1",
        "ssh:zoom.us/j/1",
        "mailto:jane@example.com?body=https://zoom.us/j/1",
    ],
)
def test_an_address_inside_another_one_is_no_address(text: str) -> None:
    assert not any(reading in {"zoom.us/j/1", "https://zoom.us/j/1"} for r in _readings(text) for reading in r)


@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com,https://zoom.us/j/1",
        "and/or;https://zoom.us/j/1",
        "https://example.com,https://zoom.us/j/1",
        "https://zoom.us/rec/1,https://zoom.us/j/1",
        "https://acme.webex.com/meet/jane;https://zoom.us/j/1",
        "(https://example.com/a)https://zoom.us/j/1",
        "[https://example.com/?x=1](https://zoom.us/j/1)",
        "https://example.com/a，https://zoom.us/j/1",
        "参加https://zoom.us/j/1",
        "Joinhttps://zoom.us/j/1",
        "Link:https://zoom.us/j/1",
        "1.https://zoom.us/j/1",
    ],
)
def test_an_address_beside_another_word_or_address_is_one(text: str) -> None:
    assert any("https://zoom.us/j/1" in readings for readings in _readings(text))
