"""Join links: made-up ones, and where each provider shows a link."""

from __future__ import annotations

import base64
import html
import secrets
import string
import uuid
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit

from sandbox.calendar.records import LinkPosition, Provider


class LinkPlatform(StrEnum):
    """Platforms for which a link can be made up."""

    GOOGLE_MEET = "google_meet"
    MICROSOFT_TEAMS = "microsoft_teams"
    ZOOM = "zoom"
    WEBEX = "webex"


def made_up_link(platform: LinkPlatform) -> str:
    """Return a link that has the right shape and leads nowhere."""
    match platform:
        case LinkPlatform.GOOGLE_MEET:
            return f"https://meet.google.com/{_letters(3)}-{_letters(4)}-{_letters(3)}"
        case LinkPlatform.ZOOM:
            return f"https://us02web.zoom.us/j/8{_digits(10)}?pwd={secrets.token_hex(12)}"
        case LinkPlatform.WEBEX:
            return f"https://acme.webex.com/acme/j.php?MTID=m{secrets.token_hex(16)}"
        case LinkPlatform.MICROSOFT_TEAMS:
            thread = base64.b64encode(secrets.token_bytes(36)).decode().translate(str.maketrans("+/", "ab"))
            context = f'{{"Tid":"{uuid.uuid4()}","Oid":"{uuid.uuid4()}"}}'
            return (
                f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0"
                f"?context={quote(context, safe='')}"
            )


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a user of one provider sees a link: conference, location, or text in the body."""

    conference: str | None = None
    location: str | None = None
    body: str | None = None


def link_placement(url: str | None, place: LinkPosition, origin: Provider, viewer: Provider) -> Placement:
    """Return where the users of ``viewer`` see a link in a meeting made at ``origin``.

    A structured conference is lost between providers: guests at the other one get it as text.
    """
    if url is None:
        return Placement()
    if place is LinkPosition.LOCATION:
        return Placement(location=url)
    if place is LinkPosition.DESCRIPTION:
        return Placement(body=url)
    if place is LinkPosition.AUTO and not _has_native_conference(url, origin):
        return Placement(location=url)
    if viewer is origin:
        return Placement(conference=url, location="Microsoft Teams Meeting" if _is_teams(url) else None)
    return Placement(location="Microsoft Teams Meeting" if _is_teams(url) else None, body=f"Join the meeting: {url}")


def with_link_text(description: str, body: str | None) -> str:
    """Return a description with the text about the link added."""
    return "\n\n".join(part for part in (description, body) if part)


def to_html(text: str) -> str:
    """Return text as Outlook stores it: escaped, with addresses as anchors."""
    return "<br>\r\n".join(" ".join(_anchor(word) for word in line.split(" ")) for line in text.split("\n"))


def is_google_meet(url: str) -> bool:
    """Return whether the link is one of Google Meet."""
    return urlsplit(url).hostname == "meet.google.com"


def _is_teams(url: str) -> bool:
    return urlsplit(url).hostname in ("teams.microsoft.com", "teams.live.com")


def _has_native_conference(url: str, origin: Provider) -> bool:
    return is_google_meet(url) if origin is Provider.GOOGLE else _is_teams(url)


def _anchor(word: str) -> str:
    escaped = html.escape(word)
    return f'<a href="{escaped}">{escaped}</a>' if word.startswith(("https://", "http://")) else escaped


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(count))


def _digits(count: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(count))
