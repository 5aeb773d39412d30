"""Reads the passcode that an invitation puts in words, for links that go without it."""

from __future__ import annotations

import re

# Invitations state the passcode a few lines below the link, before the telephone numbers with codes of their own.
_NEAR = 1_500

_STATED = re.compile(
    r"(?i)(?<!phone )(?:pass ?code|password|pwd|kenncode|kennwort|code secret|mot de passe|c[oó]digo de acceso"
    r"|contraseña|senha(?: de acesso)?|codice d['’]accesso|wachtwoord|toegangscode|パスコード|パスワード|密码|密碼)"
    r"[ \t]{0,4}[:：][ \t]{0,4}([!-~]{1,64})"
)
_LINK = re.compile(r"/(?:j|w|s|my|meet|meetup-join)/([^\s/?#&<>\"]*)|MTID=")
_PUNCTUATION = ".,;:)]>\"'"


def stated_passcode(text: str, meeting_id: str) -> str | None:
    """What `text` calls the passcode behind a link to `meeting_id`, before any other meeting's; None where it does not."""
    place = text.find(meeting_id)
    if place < 0:
        return None
    start = place + len(meeting_id)
    found = _STATED.search(text, start, _end(text, start, meeting_id))
    return (found[1].rstrip(_PUNCTUATION) or None) if found else None


def _end(text: str, start: int, meeting_id: str) -> int:
    links = _LINK.finditer(text, start, start + _NEAR)
    return next((link.start() for link in links if link[1] != meeting_id), start + _NEAR)
