"""For any event: no exception, and no link but an https address on a trusted host."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link
from meetbot.links.cli import run
from meetbot.links.matching import is_trusted_host

_PROVIDERS = st.sampled_from(Provider)
_ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)

# Bits of links and of what surrounds them: pieced together they come near to real and to hostile text.
_BITS = st.sampled_from(
    ["https://", "http:/", "HTTPS:", "zoommtg://", "msteams:/", "//", "/", "\\", "@", ":443", ":80", "?",
     "#", "&", "&amp;", "=", "=3D", "=\n", "\n", " ", "<", ">", '"', "'", "(", ")", "[", "](", "]", "{",
     "}", "|", "%", "%2F", "%253a", "%40", "*", "**A", "__;", "!!", "$", "zoom.us", "us02web.zoom.us",
     "zoom", ".us", ".", "evil", "example.com", "meet.google.com", "teams.microsoft.com", "acme.webex.com",
     "meet.jit.si", "8x8.vc", "whereby.com", "chime.aws", "bluejeans.com", "v.ringcentral.com",
     "app.slack.com", "teams.live.com", "/j/", "/my/", "/s/", "/join?confno=", "/l/meetup-join/",
     "19:meeting_x@thread.v2", "19%3ameeting_x%40thread.v2", "/0", "?context=", "%7b%22Tid%22%3a1%7d",
     "{\"Tid\":1}", "/meet/", "?p=", "?pwd=", "&tk=", "&zak=", "/j.php?MTID=", "m0123", "987654321",
     "abc-defg-hij", "room", "/huddle/T0123/C0123", "https://urldefense.com/v3/__",
     "https://urldefense.proofpoint.com/v2/url?u=https-3A__",
     "https://a.safelinks.protection.outlook.com/?url=", "https://www.google.com/url?q=",
     "https://secure-web.cisco.com/x/", "https://eu.protection.sophos.com/?u=",
     "aHR0cHM6Ly96b29tLnVzL2ovMTIz", "JSUl", "<a href=", "<a href='", "</a>", "<p>", "<b>", "<br>",
     "<script>", "<!--", "-->", "<area href=", "&lt;", "&#46;", "&#x2e;", "\u200b", "\u202e", "。", "ü",
     "\ud800", "\x00", "\x1c", "\x1d"]
)  # fmt: skip
_HOSTILE = st.lists(_BITS | _ANY_TEXT, max_size=30).map("".join)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _HOSTILE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _event(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    entry = st.fixed_dictionaries(
        {}, optional={"entryPointType": st.just("video") | values, "uri": values, "passcode": values, "pin": values}
    )
    location = st.fixed_dictionaries({}, optional={"displayName": values, "locationUri": values}) | values
    body = st.fixed_dictionaries({"contentType": st.sampled_from(["html", "text", "HTML"]) | values, "content": values})
    return st.fixed_dictionaries(
        {},
        optional={
            "conferenceData": st.fixed_dictionaries({"entryPoints": st.lists(entry | values, max_size=3) | values})
            | values,
            "hangoutLink": values,
            "location": location,
            "description": values,
            "summary": values,
            "onlineMeeting": st.fixed_dictionaries({"joinUrl": values}) | values,
            "onlineMeetingUrl": values,
            "locations": st.lists(location, max_size=3) | values,
            "body": body | values,
            "subject": values,
        },
    )


def _assert_sound(link: MeetingLink) -> None:
    parts = urlsplit(link.url)
    assert link.url.isascii()
    assert link.url.isprintable()
    assert parts.scheme == "https"
    assert parts.netloc == (parts.hostname or "")
    assert is_trusted_host(parts.netloc)
    assert "zak=" not in parts.query.lower()
    assert link.meeting_id
    json.dumps([link.meeting_id, link.passcode]).encode()


@settings(max_examples=400, deadline=None)
@given(_PROVIDERS, _event(_JSON))
def test_no_type_of_value_raises(provider: Provider, event: dict[str, Any]) -> None:
    link = find_meeting_link(provider, event)
    if link:
        _assert_sound(link)


@settings(max_examples=400, deadline=None)
@given(_PROVIDERS, _event(_HOSTILE))
@example(Provider.GOOGLE, {"description": '<a href="https://example.com"><area href="https://zoom.us/j/1"></a>'})
def test_every_link_that_is_found_is_on_a_trusted_host(provider: Provider, event: dict[str, Any]) -> None:
    link = find_meeting_link(provider, event)
    if link:
        _assert_sound(link)


@settings(max_examples=300, deadline=None)
@given(_HOSTILE)
def test_a_link_that_was_found_is_found_again_unchanged(text: str) -> None:
    link = find_meeting_link(Provider.GOOGLE, {"description": text})
    if link:
        again = find_meeting_link(Provider.GOOGLE, {"hangoutLink": link.url})
        assert again
        assert (again.platform, again.url, again.meeting_id, again.passcode) == (
            link.platform, link.url, link.meeting_id, link.passcode,
        )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_HOSTILE.map(lambda text: text.encode("utf-8", "surrogatepass")) | _HOSTILE, max_size=4))
def test_there_is_one_answer_for_each_line(lines: list[bytes | str]) -> None:
    answers: list[str] = []
    assert run(lines, answers.append) == 0
    assert len(answers) == len(lines)


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[a-z0-9.-]{1,12}", fullmatch=True))
def test_a_host_that_only_contains_a_trusted_name_is_not_trusted(extra: str) -> None:
    for host in (
        f"zoom.us.{extra}.example",
        f"{extra}-zoom.us".lstrip("."),
        f"zoom.us{extra.replace('.', '')}.example",
    ):
        if not host.endswith(".zoom.us"):
            assert find_meeting_link(Provider.GOOGLE, {"location": f"https://{host}/j/987654321"}) is None
