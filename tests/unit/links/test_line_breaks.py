"""A line break in the middle of a link is mended.

A link that is complete is never made longer by the next line.
"""

from __future__ import annotations

import pytest

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link

_OLD = "https://us02web.zoom.us/j/81234567890?pwd=QmRzSG9JN2VwdGJqZ0RtUT09"
_NEW = "https://us02web.zoom.us/j/81234567890?pwd=aBcDeFgHiJkLmNoPqRsTuVwXyZ0123.1"
_TOKEN = "aB3-" * 10 + "aB3.DQMAAAAXq0CZ_xZmT1BhYmMtUVRhc2"


def _found(text: str) -> MeetingLink:
    link = find_meeting_link(Provider.GOOGLE, {"description": text})
    assert link
    return link


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "next_line",
    ["jane@example.com", "482913", "+16699006833,,81234567890#", "812-3456-7890", "-Introductions", "1.Intro", "10:00-10:30",
     "www.example.com", "Re-run", "Q&A", "and/or", "2026-03-02", "Room12", "tel:+491234", "@all", "#general", "Grüße",
     "s3cr3t.1", "AbCdEfGhIjKl09"],
)  # fmt: skip
@pytest.mark.parametrize(
    "url",
    [
        _OLD,
        _NEW,
        "https://us02web.zoom.us/j/81234567890?pwd=myOwnPasscode",
        "https://teams.microsoft.com/meet/2345678901234?p=AbCdEf1234XyZabcdef",
        "https://us02web.zoom.us/w/81234567890?tk=" + _TOKEN,
        "https://us02web.zoom.us/j/81234567890?tk=" + _TOKEN + "&pwd=abc",
        "https://acme.webex.com/acme/j.php?MTID=mf0e1d2c3b4a5968778695a4b3c2d1e0f",
        "https://acme-corporation.webex.com/meet/jane.doe",
        "https://meet.jit.si/OurWeeklyMeetingOfTheWholeCompany",
    ],
)
def test_a_complete_link_is_not_made_longer_by_the_next_line(url: str, next_line: str, line_break: str) -> None:
    assert _found(f"{url}{line_break}{next_line}{line_break}more text").url == url


@pytest.mark.parametrize("place", range(len("https://us02web.zoom.us/j/"), len(_OLD)))
@pytest.mark.parametrize("url", [_OLD, _NEW])
def test_a_zoom_link_is_mended_if_a_line_break_cuts_it_at_any_place(url: str, place: int) -> None:
    text = f"Please join by this link: {url[:place]}\n{url[place:]}\n\nBye"
    assert _found(text).url == url


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://teams.microsoft.com/meet/2345678901234?p=AbCd%", "2DEf1234XyZabcdef"),
        ("https://teams.microsoft.com/meet/2345678901234?p=AbCdEf1", "234XyZabcdef&anon=true"),
        ("https://acme.webex.com/acme/j.php?MTID=mf0e1d2c3b4a59", "68778695a4b3c2d1e0f"),
        ("https://whereby.com/the-weekly-meeting-of-the-", "company-2"),
        ("https://us02web.zoom.us/w/81234567890?pwd=QmRzSG9JN2VwdGJqZ0RtUT09&tk=" + _TOKEN[:20], _TOKEN[20:]),
    ],
)
def test_other_links_are_mended_if_a_line_break_evidently_cut_them(first: str, second: str) -> None:
    assert _found(f"{first}\n{second}\n").url.partition("&anon")[0] == f"{first}{second}".partition("&anon")[0]


def test_lines_folded_as_icalendar_does_it_are_unfolded() -> None:
    url = "https://teams.microsoft.com/meet/2345678901234?p=AbCdEf1234XyZ5bcdef"
    text = f"{'Join: '.rjust(75 - 58)}{url[:58]}\r\n {url[58:]}\r\n"
    assert _found(text).url == url


def test_a_link_is_mended_from_as_many_lines_as_it_needs_and_no_more() -> None:
    context = "%7b%22Tid%22%3a%2272f988bf-86f1-41af-91ab-2d7cd011db47%22%2c%22Oid%22%3a%221%22%7d"
    url = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{'NDdh' * 12}%40thread.v2/0?context={context}"
    lines = [url[start : start + 76] for start in range(0, len(url), 76)]
    assert _found("\n".join([*lines, "482913", "Bye"])).url == url


_CONTEXT = "%7b%22Tid%22%3a%2272f988bf-86f1-41af-91ab-2d7cd011db47%22%2c%22Oid%22%3a%221%22%7d"
_TEAMS = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{'NDdh' * 12}%40thread.v2/0?context={_CONTEXT}"


def _in_html(content: str) -> MeetingLink:
    link = find_meeting_link(Provider.MICROSOFT, {"body": {"contentType": "html", "content": content}})
    assert link
    return link


@pytest.mark.parametrize("url", [_OLD, _NEW, _TEAMS])
@pytest.mark.parametrize("tag", ["p", "pre", "div", "td", "li"])
def test_a_link_is_mended_if_its_last_line_ends_a_block(tag: str, url: str) -> None:
    assert _in_html(f"<{tag}>Join {url[:55]}\n{url[55:]}</{tag}><p>Bye</p>").url == url


@pytest.mark.parametrize("line_break", ["<br>", "<br>\n", "<br/>\r\n"])
@pytest.mark.parametrize("url", [_OLD, _NEW, _TEAMS])
def test_a_link_is_mended_if_each_line_ends_with_a_break_element(line_break: str, url: str) -> None:
    lines = [url[start : start + 60] for start in range(0, len(url), 60)]
    assert _in_html(line_break.join(["Join:", *lines, "Meeting ID: 1", "Bye"])).url == url


@pytest.mark.parametrize("mark", ["> ", ">", ">> ", "> > "])
@pytest.mark.parametrize(("opener", "closer"), [("", ""), ("<", ">")])
@pytest.mark.parametrize("url", [_OLD, _NEW, _TEAMS])
def test_a_link_is_mended_in_a_quoted_reply(url: str, opener: str, closer: str, mark: str) -> None:
    lines = [url[start : start + 60] for start in range(0, len(url), 60)]
    text = f"{mark}Join: {opener}" + f"\n{mark}".join(lines) + f"{closer}\n{mark}Meeting ID: 123\n{mark}<bye>"
    assert _found(text).url == url


def test_a_quotation_mark_on_the_next_line_closes_no_angle_bracket() -> None:
    assert _found(f"> <{_OLD}\n> and more\n> <x>").url == _OLD


@pytest.mark.parametrize("url", [_NEW, _OLD])
def test_a_link_with_a_whole_passcode_is_not_joined_with_a_line_of_parameters(url: str) -> None:
    assert _found(f"{url}\nBye&see=you\n").url == url
