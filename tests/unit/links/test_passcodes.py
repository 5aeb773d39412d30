"""Passcodes that an invitation states in words."""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.links import find_meeting_link
from meetbot.links.passcodes import passcode_in_text

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
    assert passcode_in_text(f"{_LINK}\n{words}", "81234567890") == "s3cr#t"


def test_a_passcode_in_words_does_not_change_the_url() -> None:
    link = find_meeting_link(Provider.GOOGLE, {"description": f"{_LINK}\nPasscode: 123456"})
    assert link
    assert (link.url, link.passcode) == (_LINK, "123456")


def test_the_passcode_in_the_url_goes_before_the_one_in_words() -> None:
    assert _passcode(description=f"{_LINK}?pwd=abc.1\nPasscode: 123456") == "abc.1"


def test_a_passcode_in_a_later_field_with_the_same_link_is_read() -> None:
    assert _passcode(location=_LINK, description=f"<p>{_LINK}</p><p>Passcode: <b>123456</b></p>") == "123456"


def test_a_passcode_in_words_is_read_only_for_platforms_that_state_it() -> None:
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
def test_the_invitations_of_other_platforms_are_read(link: str, words: str, passcode: str) -> None:
    assert _passcode(description=f"{link}\n\n{words}") == passcode


def test_a_passcode_in_a_table_cell_is_read() -> None:
    html = f'<a href="{_WEBEX}">Join</a><table><tr><td>Meeting password:</td><td>pUw3Bm2Gx7X</td></tr></table>'
    assert _passcode(description=html) == "pUw3Bm2Gx7X"


def test_a_passcode_in_a_field_that_names_the_meeting_by_its_id_is_read() -> None:
    words = "Meeting ID: 812 3456 7890\nPasscode: 123456"
    assert _passcode(location=_LINK, description=words) == "123456"
    assert (
        _passcode(location=_LINK, description="<p>Meeting ID: 812-3456-7890</p><p>Passcode: <b>123456</b></p>")
        == "123456"
    )
    assert _passcode(location=_LINK, description=words.replace("7890", "7891")) is None


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
        f"Passcode: 123456 opens the door. {_LINK}",
        f"{_LINK} or https://us02web.zoom.us/j/81234567891 Passcode: 123456",
        f"{_LINK} or https://teams.microsoft.com/meet/2391234567890 Passcode: abc",
        f"{_LINK} and https://example.com/?pwd=abc",
        f"{_LINK} Phone passcode: 123456",
        f"{_LINK} {'x' * 2_000} Passcode: 123456",
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
    assert passcode_in_text(text, "81234567890") is None


def test_of_two_meetings_each_has_its_own_passcode() -> None:
    other = "https://us02web.zoom.us/j/81234567891"
    text = f"{other}\nPasscode: 111111\n\n{_LINK}\nPasscode: 222222"
    assert passcode_in_text(text, "81234567890") == "222222"
    assert passcode_in_text(text, "81234567891") == "111111"


_RECORDING = "https://zoom.us/rec/share/abcDEF.xyz"


@pytest.mark.parametrize(
    "text",
    [
        f"{_LINK}\n\nRecording: {_RECORDING}\nPasscode: REC123",
        f"Recording: {_RECORDING}\nPasscode: REC123\n\n{_LINK}",
        f"{_LINK}\nRecording of last week: https://files.example.com/x\nPasscode: REC123",
        f"{_LINK}\nhttps://acme.webex.com/acme/ldr.php?RCID=abc\nPassword: REC123",
        f"{_LINK}\nRecording password: REC123",
        f"{_LINK}\nRecording (password: REC123)",
    ],
)
def test_the_passcode_of_a_recording_is_not_the_meetings(text: str) -> None:
    assert passcode_in_text(text, "81234567890") is None


def test_the_passcode_of_a_recording_above_does_not_hide_the_meetings() -> None:
    text = f"Recording: {_RECORDING}\nPasscode: REC123\n\n{_LINK}\nPasscode: 445566"
    assert passcode_in_text(text, "81234567890") == "445566"


@pytest.mark.parametrize("value", ["Pm8JpXsE3aR (76957793 from phones)", "MrhdbYKUqPd", "MtxBaNqP", "12345678"])
def test_a_passcode_in_a_table_cell_may_lack_digits_or_name_one_for_phones(value: str) -> None:
    html = f'<a href="{_WEBEX}">Join</a><table><tr><td>Meeting password:</td><td>{value}</td></tr></table>'
    assert _passcode(description=html) == value.partition(" ")[0]


@pytest.mark.parametrize(
    "words",
    [
        "Passcode: sent by mail", "Passcode: required", "Password: as usual", "Password: TBC", "Password: ********",
        "Zip password: Guest2024", "Dropbox password: Guest2024", "Account password: Guest2024", "Passcode: x",
        "Passcode: 123 456 and more", "Passcode: jane1@example.com", "Passcode: 10:30", "Password: xxxxxx",
        "Passcode - see below", "Passcode is required", "https://example.com/?pwd = 123456",
        "Passcode: 1st floor", "Passcode: 81234567890", "Passcode: (sent)",
        "Password: 24h before by mail",
    ],
)  # fmt: skip
def test_a_value_that_is_no_code_is_no_passcode(words: str) -> None:
    assert passcode_in_text(f"{_LINK}\n{words}", "81234567890") is None


@pytest.mark.parametrize(
    "words",
    [
        'Passcode: "123456"', "Passcode: `123456`", "*Passcode:* 123456", "**Passcode**: 123456", "Passcode: **123456**",
        "Passcode: (123456)", "Passcode - 123456", "Passcode – 123456", "Passcode = 123456", "The passcode is 123456.",
        "Passcode: 123 456", "Passcode: “123456”", "Join with passcode: 123456, please", "_Passcode_: _123456_",
    ],
)  # fmt: skip
def test_a_passcode_is_read_with_any_punctuation_around_it(words: str) -> None:
    assert passcode_in_text(f"{_LINK}\n{words}\n", "81234567890") == "123456"


@pytest.mark.parametrize("word", ["hello", "Willkommen", "GEHEIM"])
def test_a_word_alone_behind_the_colon_is_a_passcode(word: str) -> None:
    assert passcode_in_text(f"{_LINK}\nPasscode: {word}\n", "81234567890") == word


@pytest.mark.parametrize("words", ["Passcode: hello everybody", "Passcode is hello", "Passcode:\nhello"])
def test_a_word_that_may_be_prose_is_no_passcode(words: str) -> None:
    assert passcode_in_text(f"{_LINK}\n{words}\n", "81234567890") is None


@pytest.mark.parametrize("words", ["Passcode: 884422", "<p>See you</p><p>Passcode: <b>884422</b></p>"])
def test_a_passcode_without_a_meeting_is_that_of_the_only_meeting(words: str) -> None:
    assert _passcode(location=_LINK, description=words) == "884422"


@pytest.mark.parametrize(
    "event",
    [
        {"description": "Passcode: 884422", "summary": "or https://us02web.zoom.us/j/81234567891"},
        {"description": "Meeting ID: 812 3456 7891\nPasscode: 884422"},
        {"description": "https://files.example.com/x\nPasscode: 884422"},
        {"description": '<p><a href="https://meet.example.com/x">Join</a></p><p>Passcode: 884422</p>'},
        {"description": '<p><a href="https://protect-us.mimecast.com/s/x">Join</a></p><p>Passcode: 884422</p>'},
        {"description": "The guests may say Passcode: 884422 opens the door"},
    ],
)
def test_a_passcode_in_another_field_that_may_be_of_another_thing_is_not_taken(event: dict[str, str]) -> None:
    assert _passcode(location=_LINK, **event) is None


def test_the_host_that_a_gateway_names_in_clear_is_no_other_meeting() -> None:
    wrapped = "https://eu.protection.sophos.com/?d=zoom.us&u=aHR0cHM6Ly96b29tLnVzL2ovODEyMzQ1Njc4OTA"
    assert passcode_in_text(f"{_LINK}\n{wrapped}\nPasscode: 123456", "81234567890") == "123456"
