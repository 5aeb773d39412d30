"""Long texts: a link is found at any place, and always whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link
from meetbot.links.lookup import Lookup
from meetbot.links.windows import link_windows

_URL = "https://zoom.us/j/98765432101?pwd=AbCdEfGh1234"
_PAGE = "https://whereby.com/pricing"
_REWRITTEN = "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.com%2F{}&amp;data=05%7C02%7C&amp;reserved=0"


def _in_text(content: str) -> MeetingLink | None:
    return find_meeting_link(Provider.MICROSOFT, {"body": {"contentType": "text", "content": content}})


def _in_html(content: str) -> MeetingLink | None:
    return find_meeting_link(Provider.MICROSOFT, {"body": {"contentType": "html", "content": content}})


def _words(size: int) -> str:
    return ("lorem ipsum " * (size // 12 + 1))[:size]


@pytest.mark.parametrize(
    "distance", [*range(1_950, 2_060, 9), *range(5_900, 6_080, 7), *range(8_100, 8_300, 19), 10_190]
)
@pytest.mark.parametrize(
    ("find", "block", "link"),
    [
        (_in_text, "", f" {_URL} "),
        (_in_html, "<p>", f'<a class="x" style="color:red" href="{_URL}">Join</a>'),
    ],
)
def test_no_window_begins_or_ends_within_a_link(
    find: Callable[[str], MeetingLink | None], block: str, link: str, distance: int
) -> None:
    found = find(f"{block}{_words(70_000)} {block}{_PAGE} {_words(distance)}{link}{_words(30_000)}")
    assert found
    assert found.url == _URL


@pytest.mark.parametrize("distance", [*range(1_950, 2_060, 27), *range(5_900, 6_080, 27), 7_000, 10_000])
def test_no_window_begins_within_the_text_of_a_link_to_another_site(distance: int) -> None:
    anchor = f'<a href="https://example.com/">{_words(distance)} {_URL}</a>'
    assert _in_html(f"<p>{_words(70_000)}<p>{_PAGE} {anchor}{_words(30_000)}") is None
    assert _in_html(f"<p>{_words(70_000)}<p>{anchor}{_words(30_000)}") is None


@pytest.mark.parametrize(("opener", "closer"), [("<!--", "-->"), ("<script>", "</script>"), ("<STYLE>", "</STYLE>")])
def test_no_window_begins_within_a_comment_script_or_style(opener: str, closer: str) -> None:
    assert _in_html(f"<p>{_words(70_000)}{opener}{_words(3_000)} {_URL} {closer}{_words(3_000)}") is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.6, 0.85, 1.0])
def test_a_link_is_found_anywhere_in_a_megabyte_of_a_thread(share: float) -> None:
    paragraph = f'<p class="MsoNormal">{_words(500)}<a href="{{}}">notes</a> https://zoom.us/rec/share/{{}}</p>\r\n'
    paragraphs = [paragraph.format(_REWRITTEN.format(number), number) for number in range(1_650)]
    paragraphs[::20] = [f"<p>{_PAGE} or https://acme.webex.com/webappng/sites/acme/dashboard</p>"] * len(
        paragraphs[::20]
    )
    paragraphs.insert(round(share * 1_650), f'<p><a href="{_URL}">Join Zoom Meeting</a></p>')
    html = "".join(paragraphs)
    assert len(html) > 1_000_000
    link = _in_html(html)
    assert link
    assert link.url == _URL


@pytest.mark.parametrize("junk", ["zoom.us/j/x ", "<a href=zoom.us/j/x>", "zoom.us/j/ü ", "zoom.us/j/" + "x" * 20_000])
def test_a_long_text_has_a_limit_on_what_is_read(junk: str) -> None:
    assert sum(map(len, link_windows(junk * (1_000_000 // len(junk)), Lookup()))) <= 130_000


def test_the_end_of_a_long_text_is_read_even_if_its_middle_is_not() -> None:
    assert list(link_windows("zoom.us/j/1 " * 100_000 + " last", Lookup()))[-1].endswith("last")


def test_an_address_inside_another_one_is_not_cut_out_of_it() -> None:
    inside = f"https://example.com/?x={'x' * 2_500},{_URL}"
    assert _in_text(f"{_words(70_000)} {inside} {_words(30_000)}") is None


@pytest.mark.parametrize("size", range(3_960, 4_004, 4))
def test_a_short_field_that_is_too_long_ends_with_a_whole_word(size: int) -> None:
    link = find_meeting_link(Provider.GOOGLE, {"location": f"{_words(size)} {_URL}"})
    assert link is None or link.url == _URL
