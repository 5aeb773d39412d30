"""Invitations: links shown in part, links in lists, and passcodes in other languages."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.links import find_meeting_link

ZOOM = "https://acme.zoom.us/j/98765432109"
WEBEX_ID = "m0a1b2c3d4e5f60718293a4b5c6d7e8f9"
OPAQUE = "https://protect-eu.mimecast.com/s/x?domain=zoom.us"


def found(event: dict[str, Any]) -> tuple[str | None, str | None] | None:
    link = find_meeting_link(Provider.MICROSOFT, event)
    return (link.meeting_id, link.passcode) if link else None


def html(content: str) -> dict[str, Any]:
    return {"body": {"contentType": "html", "content": content}}


def text(content: str) -> dict[str, Any]:
    return {"body": {"contentType": "text", "content": content}}


def place(name: str) -> dict[str, Any]:
    return {"location": {"displayName": name}}


@pytest.mark.parametrize(
    "event",
    [
        html(f'<a href="{OPAQUE}">https://acme.zoom.us/j/987654321...</a> Passcode: 482913'),
        html(f'<a href="{OPAQUE}">https://acme.webex.com/acme/j.php?MTID=m0a1b…</a>'),
        text("Join: https://teams.microsoft.com/meet/234567890..."),
        text("(https://acme.zoom.us/j/987654321...)"),
    ],
)
def test_a_link_that_is_shown_in_part_is_no_link(event: dict[str, Any]) -> None:
    assert found(event) is None


@pytest.mark.parametrize("ending", ["...", "…", "... see you"])
def test_a_complete_link_may_be_followed_by_dots(ending: str) -> None:
    assert found(text(ZOOM + ending)) == ("98765432109", None)


def test_the_shown_part_of_a_link_is_no_other_meeting() -> None:
    href = f"https://acme.webex.com/acme/j.php?MTID={WEBEX_ID}"
    event = html(f'<a href="{href}">https://acme.webex.com/acme/j.…</a><br>Meeting password: Xp2mVrJ7s43')
    assert found(event) == (WEBEX_ID, "Xp2mVrJ7s43")


@pytest.mark.parametrize("rest", [",Berlin", ";JoinLink 5", ",https://meet.google.com/abc-defg-hij", ", Berlin"])
def test_the_rest_of_a_list_is_no_part_of_the_passcode(rest: str) -> None:
    assert found(place(f"{ZOOM}?pwd=Rk9hTY0.1{rest}")) == ("98765432109", "Rk9hTY0.1")


def test_an_ampersand_that_is_still_an_entity_ends_no_link() -> None:
    assert found(text(f"{ZOOM}?from=addon&amp;pwd=Rk9hTY0.1")) == ("98765432109", "Rk9hTY0.1")


def test_a_passcode_is_read_behind_a_link_of_sophos() -> None:
    inner = base64.b64encode(ZOOM.encode()).decode()
    wrapped = f"https://eu-west-1.protection.sophos.com/?d=zoom.us&u={inner}&p=m&i=NWY&t=abc&h=def&s=AV"
    assert found(text(f"{wrapped}\nPasscode: 482913")) == ("98765432109", "482913")


def test_a_passcode_is_read_behind_a_name_that_proofpoint_wrapped() -> None:
    wrapped = "https://urldefense.com/v3/__https://acme.webex.com/meet/asmith__;!!KGKeukY!1a2b3cDEF-gh$"
    assert found(text(f"{wrapped}\nPassword: Xp2mVrJ7s43")) == ("asmith", "Xp2mVrJ7s43")


@pytest.mark.parametrize(
    "words",
    [
        "Mot de passe de la réunion:", "Mot de passe de la réunion :", "Contraseña de la reunión:", "회의 암호:",
        "Код доступа:", "Kod dostępu:", "Vergaderingswachtwoord:", "Password riunione:",
    ],
)  # fmt: skip
def test_a_passcode_may_be_stated_in_other_languages(words: str) -> None:
    assert found(text(f"{ZOOM}\n{words} 482913")) == ("98765432109", "482913")


@pytest.mark.parametrize("words", ["see email", "will be sent", "siehe E-Mail", "tbd"])
def test_words_that_say_how_to_get_a_passcode_are_no_passcode(words: str) -> None:
    assert found(text(f"{ZOOM}\nPasscode: {words}")) == ("98765432109", None)
