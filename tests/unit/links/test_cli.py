"""`meetbot links` and `python -m meetbot.links`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from meetbot.links.cli import run

_GOOD = '{"provider": "google", "event": {"location": "https://zoom.us/j/987654321"}}'


_NOTHING = {"platform": "none", "url": None, "meeting_id": None, "passcode": None}


def _answers(*lines: bytes | str, complaints: list[str] | None = None) -> list[dict[str, Any]]:
    written: list[str] = []
    assert run(lines, written.append, ([] if complaints is None else complaints).append) == 0
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in written)
    return [json.loads(text) for text in written]


def test_every_line_gets_its_answer_in_order() -> None:
    complaints: list[str] = []
    lines = (_GOOD, "nonsense", _GOOD.encode(), b"", '{"provider": "google", "event": {}}')
    answers = _answers(*lines, complaints=complaints)
    assert [answer["platform"] for answer in answers] == ["zoom", "none", "zoom", "none", "none"]
    assert complaints == ["line 2: malformed_json\n", "line 4: malformed_json\n"]


def test_an_answer_has_four_members() -> None:
    assert _answers(_GOOD) == [
        {"platform": "zoom", "url": "https://zoom.us/j/987654321", "meeting_id": "987654321", "passcode": None}
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{}", "unknown_provider"),
        ("[]", "unknown_provider"),
        ("7", "unknown_provider"),
        ('{"provider": "yahoo", "event": {}}', "unknown_provider"),
        ('{"provider": ["google"], "event": {}}', "unknown_provider"),
        ('{"provider": "google"}', "no_event"),
        ('{"provider": "google", "event": []}', "no_event"),
        ("[" * 200_000, "malformed_json"),
        (b"\xff\xfe\x00", "malformed_json"),
        ('{"provider": "google", "event": {"x": ' + "9" * 10_000 + "}}", "malformed_json"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: bytes | str, error: str) -> None:
    complaints: list[str] = []
    assert _answers(line, _GOOD, complaints=complaints)[0] == _NOTHING
    assert complaints == [f"line 1: {error}\n"]


def test_lone_surrogates_in_the_input_are_read() -> None:
    line = '{"provider": "google", "event": {"summary": "\\ud800", "location": "\\udfff https://meet.jit.si/Gr\\u00f6\\ud800"}}'
    assert _answers(line)[0]["meeting_id"] == "Grö"


def test_a_byte_that_is_no_utf8_costs_only_itself() -> None:
    title = _GOOD.replace('{"location"', '{"summary": "caf?", "location"').encode().replace(b"?", b"\xe9", 1)
    assert b"\xe9" in title
    assert _answers(title)[0]["meeting_id"] == "987654321"


@pytest.mark.parametrize("line", ["\ufeff" + _GOOD, b"\xef\xbb\xbf" + _GOOD.encode()])
def test_a_byte_order_mark_is_no_obstacle(line: bytes | str) -> None:
    assert _answers(line)[0]["platform"] == "zoom"


def test_the_module_reads_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "meetbot.links"], input=_GOOD, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["platform"] == "zoom"
