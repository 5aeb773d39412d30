"""HTML into text."""

from __future__ import annotations

import pytest

from meetbot.links.html import html_to_text, looks_like_html
from meetbot.links.lookup import Lookup


def _words(html: str) -> str:
    return " ".join(html_to_text(html, Lookup()).replace("\x1f", "|").split())


def test_inline_elements_do_not_cut_a_word_and_blocks_do() -> None:
    assert _words("a<b>b</b><wbr>c<p>d</p>e<br>f") == "abc|d|e|f"


def test_entities_are_decoded_in_text_and_attributes() -> None:
    assert (
        _words('<a href="https://zoom.us/j/123456789?x=1&amp;pwd=a">1 &lt; 2</a>')
        == "<https://zoom.us/j/123456789?pwd=a> 1 < 2"
    )


def test_scripts_styles_and_comments_are_not_text() -> None:
    assert _words("<style>a</style><script>b</script><!-- c -->d<!-- <p> e -->") == "d"


def test_links_to_other_sites_lose_their_text_and_others_keep_it() -> None:
    assert _words('<a href="https://example.com">a</a><a href="#x">b</a><a href="mailto:x@zoom.us">c</a>d') == "bcd"


def test_a_link_to_another_page_of_a_platform_keeps_its_text() -> None:
    assert _words('<a href="https://zoom.us/rec/1">a</a>') == "a"


def test_addresses_in_angle_brackets_are_not_tags() -> None:
    assert _words("<p>Join <https://zoom.us/j/123456789></p>") == "|Join <https://zoom.us/j/123456789>|"


def test_the_text_of_a_link_to_another_site_is_left_out_of_long_markup() -> None:
    for filling in range(31_900, 32_100, 7):
        html = "<p>" + "x" * filling + '<a href="https://example.com">see <b>here</b> https://zoom.us/j/123456789</a>'
        assert "123456789" not in html_to_text(html, Lookup())


def test_among_very_many_links_those_to_meetings_are_written_out() -> None:
    html = '<a href="https://example.com/p">item</a>' * 1_500 + '<a href="https://zoom.us/j/123456789">Join</a>'
    assert "<https://zoom.us/j/123456789>" in html_to_text(html, Lookup())


def test_text_behind_an_area_inside_a_link_to_another_site_is_kept() -> None:
    html = '<a href="https://example.com">x<area href="https://zoom.us/j/123456789"><a href="https://example.com">y</a></a>z'
    assert "z" in _words(html)


def test_our_own_separators_in_the_markup_do_no_harm() -> None:
    assert "b" in html_to_text("\x1c\x1c\x1d" * 3 + "a\x1cb", Lookup())


@pytest.mark.parametrize(
    "tag", ["<div>", "<b><div>", "<font a>", "<table>", "<x>", "</p>", "<svg>", "<select>", "<template>"]
)
def test_depth_is_flattened(tag: str) -> None:
    html = tag * (60_000 // len(tag)) + '<a href="https://zoom.us/j/123456789">Join</a>'
    assert "<https://zoom.us/j/123456789>" in html_to_text(html, Lookup())


def test_a_tag_with_thousands_of_attributes_is_dropped_and_what_follows_is_not() -> None:
    html = (
        "<p " + " ".join(f"a{number}" for number in range(20_000)) + '><a href="https://zoom.us/j/123456789">Join</a>'
    )
    assert "<https://zoom.us/j/123456789>" in html_to_text(html, Lookup())


def test_a_long_image_in_the_text_is_no_obstacle() -> None:
    html = f'<img src="data:image/png;base64,{"ab+/" * 20_000}"><a href="https://zoom.us/j/123456789">Join</a>'
    assert "<https://zoom.us/j/123456789>" in html_to_text(html, Lookup())


def test_an_address_in_angle_brackets_alone_is_no_html() -> None:
    assert not looks_like_html("Join <https://zoom.us/j/1> if a < b")
    assert looks_like_html('x <a href="y">z</a>')
