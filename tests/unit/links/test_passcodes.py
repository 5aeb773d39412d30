"""Passcodes that an invitation puts in words."""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.events import Provider
from meetbot.links import find_meeting_link
from meetbot.links.passcodes import stated_passcode

_LINK = "https://us02web.zoom.us/j/81234567890"


def _passcode(**event: Any) -> str | None:
    link = find_meeting_link(Provider.GOOGLE, event)
    assert link
    return link.passcode


@pytest.mark.parametrize(
    "words",
    [
        "Meeting ID: 812 3456 7890\nPasscode: s3cr#t\n",
        "(Passcode: s3cr#t).",
        "Kenncode: s3cr#t",
        "Code secret : s3cr#t",
        "パスコード：s3cr#t",
    ],
)
def test_a_passcode_in_words_is_read_in_many_languages(words: str) -> None:
    assert stated_passcode(f"{_LINK}\n{words}", "81234567890") == "s3cr#t"


@pytest.mark.parametrize(
    "text",
    [
        f"Passcode: 123456 opens the door. {_LINK}",
        f"{_LINK} or https://us02web.zoom.us/j/81234567891 Passcode: 123456",
        f"{_LINK} or https://teams.microsoft.com/meet/2391234567890 Passcode: abc",
        f"{_LINK} and https://example.com/?pwd=abc",
        f"{_LINK} Phone passcode: 123456",
        f"{_LINK} {'x' * 2_000} Passcode: 123456",
    ],
)
def test_a_passcode_of_something_else_is_not_taken(text: str) -> None:
    assert stated_passcode(text, "81234567890") is None


def test_a_passcode_in_words_leaves_the_address_as_it_is() -> None:
    link = find_meeting_link(Provider.GOOGLE, {"description": f"{_LINK}\nPasscode: 123456"})
    assert link
    assert (link.url, link.passcode) == (_LINK, "123456")


def test_the_passcode_in_the_address_goes_before_the_one_in_words() -> None:
    assert _passcode(description=f"{_LINK}?pwd=abc.1\nPasscode: 123456") == "abc.1"


def test_the_words_of_a_later_field_count_where_it_names_the_same_meeting() -> None:
    assert _passcode(location=_LINK, description=f"<p>{_LINK}</p><p>Passcode: <b>123456</b></p>") == "123456"


def test_words_are_read_only_where_the_platform_needs_them() -> None:
    assert _passcode(description="https://acme.webex.com/meet/jdoe\nMeeting password: abc") is None
