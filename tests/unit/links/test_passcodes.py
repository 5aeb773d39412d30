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
    assert _passcode(description="https://meet.google.com/abc-defg-hij\nPasscode: 123456") is None


_WEBEX = "https://acme.webex.com/acme/j.php?MTID=mf0e1d2c3b4a5968778695a4b3c2d1e0f"


@pytest.mark.parametrize(
    ("link", "words", "passcode"),
    [
        (
            _WEBEX,
            "Meeting number (access code): 2554 123 4567\nMeeting password: pUw3Bm2 (7893 from phones)",
            "pUw3Bm2",
        ),
        (_WEBEX, "Meeting password:\n\npUw3Bm2\n", "pUw3Bm2"),
        ("https://acme.webex.com/meet/jdoe", "Meeting password: pUw3Bm2", "pUw3Bm2"),
        ("https://teams.microsoft.com/meet/2345678901234", "Meeting ID: 234 567 890 123 4\nPasscode: AbC12d", "AbC12d"),
        ("https://v.ringcentral.com/join/123456789", "Password: AbC12d", "AbC12d"),
        ("https://bluejeans.com/123456789", "Meeting ID: 123 456 789\nParticipant Passcode: 1234", "1234"),
    ],
)
def test_the_words_of_other_platforms_invitations_are_read(link: str, words: str, passcode: str) -> None:
    assert _passcode(description=f"{link}\n\n{words}") == passcode


def test_a_cell_of_its_own_holds_the_password() -> None:
    html = f'<a href="{_WEBEX}">Join</a><table><tr><td>Meeting password:</td><td>pUw3Bm2Gx7X</td></tr></table>'
    assert _passcode(description=html) == "pUw3Bm2Gx7X"


def test_words_in_a_field_without_a_link_count_where_it_names_the_same_meeting() -> None:
    words = "Meeting ID: 812 3456 7890\nPasscode: 123456"
    assert _passcode(location=_LINK, description=words) == "123456"
    assert (
        _passcode(location=_LINK, description="<p>Meeting ID: 812-3456-7890</p><p>Passcode: <b>123456</b></p>")
        == "123456"
    )
    assert _passcode(location=_LINK, description=words.replace("7890", "7891")) is None
    assert _passcode(location=_LINK, description="Passcode: 123456") is None


@pytest.mark.parametrize(
    "text",
    [
        f"Meeting ID: 812 3456 7890\nPasscode: 123456\n{_LINK}",
        f"Passcode: 123456\n{_LINK}",
        f"Zoom meeting\n\nMeeting passcode: 123456\nLink: {_LINK}",
    ],
)
def test_a_passcode_above_the_link_is_read(text: str) -> None:
    assert _passcode(description=text) == "123456"


@pytest.mark.parametrize(
    "text",
    [
        f"https://us02web.zoom.us/j/81234567891\nPasscode: 123456\n{_LINK}",
        f"{_LINK}\nSecond meeting\nMeeting ID: 812 3456 7891\nPasscode: 123456",
        f"Meeting ID: 812 3456 7891\nPasscode: 123456\n{_LINK}",
        f"{_LINK}\n\n{_WEBEX}\nMeeting password: 123456",
        f"{_LINK}\n\nhttps://whereby.com/acme-weekly\nPassword: 123456",
        f"{_LINK}\nHost passcode: 123456",
        f"{_LINK}\nWi-Fi password: 123456",
        f"{_LINK}\nPasscode: (none)",
        f"{_LINK}\nPasscode: none",
        f"{_LINK}\nPasscode:\nAgenda",
        f"{_LINK}\nPasscode:\nhttps://example.com/1",
        f"{_LINK}\nPasscode:\n10 minutes: news",
    ],
)
def test_words_about_something_else_are_no_passcode(text: str) -> None:
    assert stated_passcode(text, "81234567890") is None


def test_of_two_meetings_each_has_its_own_passcode() -> None:
    other = "https://us02web.zoom.us/j/81234567891"
    text = f"{other}\nPasscode: 111111\n\n{_LINK}\nPasscode: 222222"
    assert stated_passcode(text, "81234567890") == "222222"
    assert stated_passcode(text, "81234567891") == "111111"
