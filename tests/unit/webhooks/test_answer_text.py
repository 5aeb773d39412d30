"""What of an endpoint's answer is kept, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.webhooks.answer_text import MAX_BYTES, text_of


@pytest.mark.parametrize("kind", ["text/plain", "TEXT/HTML; charset=x", "application/problem+json", "application/xml"])
def test_a_text_is_kept(kind: str) -> None:
    assert text_of(kind, b"no table\n") == "no table\n"


@pytest.mark.parametrize("kind", [None, "", "image/png", "application/octet-stream", "text", "text/plain\r\nx: y"])
def test_what_does_not_say_that_it_is_text_is_not_kept(kind: str | None) -> None:
    assert text_of(kind, b"no table") is None


def test_marks_that_turn_text_around_are_taken_out() -> None:
    assert text_of("text/plain", "a\u202eb\x1b[2Jc\td".encode()) == "a\ufffdb\ufffd[2Jc\td"


@given(st.binary(max_size=3 * MAX_BYTES))
def test_what_is_kept_is_bounded_and_fits_a_database(body: bytes) -> None:
    text = text_of("text/plain", body)
    assert text is None or (0 < len(text) <= MAX_BYTES and "\0" not in text and text.encode("utf-8"))
