"""The limit on the addresses of one event, which no real invitation reaches."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link, unwrap
from meetbot.links.lookup import Lookup
from meetbot.links.unwrap import NoTarget
from meetbot.links.urls import Url, parse_url

_MOST = 3_100
_ZOOM = "https://us02web.zoom.us/j/81234567890"
_LAUNCHER = "http://teams.live.com/_#/_#/_#/_#/_"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that is taken apart."""
    texts: list[str] = []

    def counted(text: str) -> Url | None:
        texts.append(text)
        return parse_url(text)

    monkeypatch.setattr(unwrap, "parse_url", counted)
    return texts


def _in_html(content: str) -> MeetingLink | None:
    return find_meeting_link(Provider.MICROSOFT, {"body": {"contentType": "html", "content": content}})


@pytest.mark.parametrize(
    "text",
    [
        ("→".join([f"{_LAUNCHER}#/_"] * 7) + "\n") * 3_500,
        (";".join(["http://zoom.us/j/1é"] * 14) + "\n") * 3_700,
        "\n".join(f"{_LAUNCHER}{number}é,{number}" for number in range(1_400)),
        "".join(f'<a href="{_LAUNCHER}#/_{number}">{_LAUNCHER}{number}é</a>' for number in range(10_000)),
    ],
)
def test_an_event_has_a_limit_on_the_addresses_that_are_taken_apart(text: str, parsed: list[str]) -> None:
    events: list[tuple[Provider, dict[str, Any]]] = [
        (Provider.GOOGLE, {"description": text, "location": text[:4_000], "summary": text[:4_000]}),
        (Provider.MICROSOFT, {"body": {"contentType": "html", "content": text}, "subject": text[:4_000]}),
    ]
    for provider, event in events:
        parsed.clear()
        find_meeting_link(provider, event)
        assert len(parsed) <= _MOST


def test_an_address_that_is_repeated_is_taken_apart_once(parsed: list[str]) -> None:
    find_meeting_link(
        Provider.GOOGLE, {"location": "https://zoom.us/rec/1", "description": "https://zoom.us/rec/1 " * 100}
    )
    assert parsed.count("https://zoom.us/rec/1") == 1


def test_a_long_address_full_of_escapes_costs_more_than_a_short_one() -> None:
    lookup = Lookup()
    looked_up = (lookup.find(f"https://zoom.us/{number}/" + "%25" * 2_600).target for number in range(50))
    assert NoTarget.NOT_LOOKED_UP in set(looked_up)


def test_a_link_behind_hundreds_of_rewritten_pages_is_found() -> None:
    pages = [
        "https://nam02.safelinks.protection.outlook.com/?url="
        + quote(f"https://teams.microsoft.com/l/channel/19%3a{number:032}%40thread.tacv2/General?groupId=abc", safe="")
        + f"&amp;data=05%7C01%7Cjane%40acme.example%7C0&amp;sdata={number:032}%3D&amp;reserved=0"
        for number in range(180)
    ]
    link = _in_html("".join(f'<p><a href="{page}">x</a></p>' for page in pages) + f'<a href="{_ZOOM}">Join</a>')
    assert link
    assert link.url == _ZOOM


def test_the_text_of_a_link_that_is_not_looked_up_is_left_out() -> None:
    junk = "".join(f'<a href="{_LAUNCHER}{number}">x</a>' for number in range(1_200))
    assert _in_html(f'{junk}<a href="https://zoom.us.example.com/j/1">{_ZOOM}</a>') is None


def test_no_passcode_is_read_if_not_every_link_was_looked_up() -> None:
    junk = "".join(f'<a href="{_LAUNCHER}{number}">x</a>' for number in range(1_200))
    link = _in_html(f"{_ZOOM}{junk}<p>Passcode: 123456</p>")
    assert link
    assert link.passcode is None
