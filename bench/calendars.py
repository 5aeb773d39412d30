"""Calendars as office workers have them, the same at every run.

They are input for benchmarks, through the sandbox's control API.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from meetbot.domain.event import Provider

OWNER_DOMAIN = "acme.test"
OCCURRENCES = 5

RULES: Mapping[str, Any] = {
    "rules": [
        {
            "name": "no 1:1s with my manager",
            "action": "skip",
            "when": {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]},
        },
        {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}},
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}
ATTRIBUTES = {"manager_email": f"manager@{OWNER_DOMAIN}"}

_MINUTES_AHEAD = 25 * 24 * 60
_COLLEAGUES = [f"colleague{number}@{OWNER_DOMAIN}" for number in range(40)]
_OUTSIDERS = [f"person{number}@{domain}" for number in range(10) for domain in ("customer.com", "vendor.example")]
_PROSE = (
    "agenda before quarter review numbers please bring your notes about the release planning and open questions from "
    "customers we shall look at hiring budget roadmap risks next steps owners dates decisions follow up with finance "
    "legal security design research support before Thursday so that everybody can prepare their part of the meeting"
)
_WORDS = _PROSE.split()
_TITLES = ("Roadmap review", "1:1", "Weekly sync", "Customer call", "Überblick Q3", "Design critique", "Stand-up")


def calendar(provider: Provider, count: int, now: datetime) -> list[dict[str, Any]]:
    """Return bodies that together list as ``count`` events of the 30 days from ``now``.

    A third of the events are occurrences of series, one in twenty is all-day.
    """
    chance = random.Random(f"{provider} {count}")
    series = count // (3 * OCCURRENCES)
    singles = count - series * OCCURRENCES
    first = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return [_body(provider, chance, first, number, in_series=number < series) for number in range(series + singles)]


def _body(
    provider: Provider, chance: random.Random, first: datetime, number: int, *, in_series: bool
) -> dict[str, Any]:
    url, place = _link(provider, chance)
    body: dict[str, Any] = {
        "title": f"{chance.choice(_TITLES)} {number}",
        "description": _description(provider, chance, url if place == "text" else None),
        "location": chance.choice(["", "", "Room Ada, 3rd floor", "Berlin, Torstraße 12"]),
        "start": (first + timedelta(minutes=chance.randrange(0, _MINUTES_AHEAD, 15))).isoformat(),
        "duration_minutes": chance.choice([15, 30, 30, 45, 60, 90]),
        "attendees": _guests(chance),
        "time_zone": "Europe/Berlin",
    }
    if url is not None and place != "text":
        body |= {"meeting_url": url, "link_place": place}
    if in_series:
        body["recurrence"] = [f"RRULE:FREQ=DAILY;COUNT={OCCURRENCES}"]
    elif chance.random() < 0.05:
        body["all_day"] = True
    return body


def _guests(chance: random.Random) -> list[dict[str, Any]]:
    """Five, of whom in a third of the meetings two come from outside."""
    outsiders = 2 if chance.random() < 0.33 else 0
    chosen = chance.sample(_COLLEAGUES, 5 - outsiders) + chance.sample(_OUTSIDERS, outsiders)
    answers = ("accepted", "accepted", "needsAction", "tentative", "declined")
    return [
        {"email": email, "name": email.partition("@")[0].title(), "answer": chance.choice(answers)} for email in chosen
    ]


def _link(provider: Provider, chance: random.Random) -> tuple[str | None, str]:
    """Return the join link and its place: the provider's conference, the location or the text."""
    kind = chance.random()
    if kind < 0.45:
        return _native(provider, chance), "auto"
    if kind < 0.65:
        return _zoom(chance), "text"
    if kind < 0.75:
        return _zoom(chance), "location"
    if kind < 0.85:
        return f"https://acme.webex.com/acme/j.php?MTID=m{_hexadecimal(chance, 32)}", "text"
    return None, "auto"


def _native(provider: Provider, chance: random.Random) -> str:
    if provider is Provider.GOOGLE:
        letters = "".join(chance.choices("abcdefghijkmnopqrstuvwxyz", k=10))
        return f"https://meet.google.com/{letters[:3]}-{letters[3:7]}-{letters[7:]}"
    thread = _hexadecimal(chance, 48)
    context = "%7b%22Tid%22%3a%2272f988bf-86f1-41af-91ab-2d7cd011db47%22%7d"
    return f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0?context={context}"


def _zoom(chance: random.Random) -> str:
    return f"https://us02web.zoom.us/j/8{chance.randrange(10**9, 10**10)}?pwd={_hexadecimal(chance, 24)}"


def _hexadecimal(chance: random.Random, length: int) -> str:
    return f"{chance.getrandbits(length * 4):0{length}x}"


def _description(provider: Provider, chance: random.Random, url: str | None) -> str:
    """Return one to two kilobytes of text with two ordinary links.

    If there is a ``url``, a block that invites to join it is part of the text.
    """
    paragraphs = [" ".join(chance.choices(_WORDS, k=chance.randrange(30, 70))) for _ in range(4)]
    lines = ["https://docs.example.com/d/1aB2c3?usp=sharing", "https://wiki.example.com/display/TEAM/Notes"]
    if provider is Provider.MICROSOFT:
        # The sandbox turns text into HTML, as Outlook does, addresses into anchors.
        joining = ["Join the meeting:", url] if url else []
        return "\n".join([*paragraphs, *lines, *joining])
    joining = [f'<p><b>Join the meeting:</b> <a href="{url}">{url}</a></p>'] if url else []
    anchors = [f'<li><a href="{line}" target="_blank">Link</a></li>' for line in lines]
    return "".join([*(f"<p>{text}.<br></p>" for text in paragraphs), "<ul>", *anchors, "</ul>", *joining])
