"""What `find_meeting_link` promises beyond the corpus."""

from __future__ import annotations

from typing import Any

import pytest

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link

_ZOOM = "https://us02web.zoom.us/j/81234567890"


def _google(**event: Any) -> MeetingLink:
    link = find_meeting_link(Provider.GOOGLE, event)
    assert link
    return link


def _microsoft(**event: Any) -> MeetingLink:
    link = find_meeting_link(Provider.MICROSOFT, event)
    assert link
    return link


def _entry(uri: str, **more: str) -> dict[str, Any]:
    return {"entryPoints": [{"entryPointType": "video", "uri": uri, **more}]}


@pytest.mark.parametrize(
    ("provider", "source", "event"),
    [
        (Provider.GOOGLE, "conferenceData", {"conferenceData": _entry(_ZOOM)}),
        (Provider.GOOGLE, "hangoutLink", {"hangoutLink": _ZOOM}),
        (Provider.GOOGLE, "location", {"location": _ZOOM}),
        (Provider.GOOGLE, "description", {"description": _ZOOM}),
        (Provider.GOOGLE, "summary", {"summary": _ZOOM}),
        (Provider.MICROSOFT, "onlineMeeting.joinUrl", {"onlineMeeting": {"joinUrl": _ZOOM}}),
        (Provider.MICROSOFT, "onlineMeetingUrl", {"onlineMeetingUrl": _ZOOM}),
        (Provider.MICROSOFT, "location", {"location": {"displayName": _ZOOM}}),
        (Provider.MICROSOFT, "location", {"location": {"locationUri": _ZOOM}}),
        (Provider.MICROSOFT, "locations", {"locations": [{"displayName": "Room 1"}, {"locationUri": _ZOOM}]}),
        (Provider.MICROSOFT, "body", {"body": {"contentType": "html", "content": f"<p>{_ZOOM}</p>"}}),
        (Provider.MICROSOFT, "subject", {"subject": _ZOOM}),
    ],
)
def test_the_source_names_the_providers_field(provider: Provider, source: str, event: dict[str, Any]) -> None:
    link = find_meeting_link(provider, event)
    assert link
    assert link.source == source


def test_the_source_of_a_fuller_link_is_the_field_it_stood_in() -> None:
    link = _google(location=_ZOOM, description=f"{_ZOOM}?pwd=abc")
    assert (link.url, link.source) == (f"{_ZOOM}?pwd=abc", "description")


def test_a_stated_passcode_survives_a_fuller_form_without_one() -> None:
    link = _google(conferenceData=_entry(_ZOOM, passcode="123456"), description=f"{_ZOOM}?tk=abc")
    assert link.passcode == "123456"


def test_a_registrants_link_keeps_its_token_and_loses_the_host_secret() -> None:
    link = _google(location=f"{_ZOOM}?zak=eyJhbGciOiJIUzI1NiJ9&tk=abc&utm_source=mail")
    assert link.url == f"{_ZOOM}?tk=abc"


def test_a_link_at_the_end_of_a_megabyte_is_found() -> None:
    body = "<p>Lorem ipsum dolor sit amet, consectetur.</p>" * 22_000 + f'<a href="{_ZOOM}">Join</a>'
    assert _microsoft(body={"contentType": "html", "content": body}).url == _ZOOM


def test_a_link_at_the_end_of_more_text_than_is_read_is_found() -> None:
    body = "see https://zoom.us/rec/share/abc or " * 25_000 + _ZOOM
    assert _google(description=body).url == _ZOOM


def test_a_link_behind_more_other_pages_than_are_looked_up_is_found() -> None:
    pages = " ".join(f"https://zoom.us/rec/share/{number}" for number in range(1_700))
    assert _google(description=f"{pages} {_ZOOM} {pages}"[:63_999]).url == _ZOOM


def test_lone_surrogates_are_overlooked() -> None:
    assert _google(location=f"\ud800{_ZOOM}\udfff").url == _ZOOM


def test_bytes_are_not_text() -> None:
    assert find_meeting_link(Provider.GOOGLE, {"location": _ZOOM.encode()}) is None


def test_the_text_of_a_link_to_another_site_is_ignored_and_the_text_after_it_read() -> None:
    html = f'<a href="https://zoom.us.example.com/j/1">{_ZOOM}</a> or https://meet.google.com/abc-defg-hij'
    assert _microsoft(body={"contentType": "html", "content": html}).meeting_id == "abc-defg-hij"


def test_a_line_that_is_merely_long_is_not_joined_with_the_next() -> None:
    text = "The link to our weekly meeting is the following one: https://zoom.us/my/jane\ndoe\n"
    assert _google(description=text).meeting_id == "jane"


def test_two_meetings_of_one_channel_are_two() -> None:
    first = "https://teams.microsoft.com/l/meetup-join/19%3aab%40thread.tacv2/1612345678901"
    other = first.replace("901", "902") + "?context=%7b%22Tid%22%3a%221%22%7d"
    assert _google(description=f"{first} {other}").url == first


@pytest.mark.parametrize("raw", [None, [], "text", 1, [("location", _ZOOM)]])
def test_what_is_no_mapping_holds_no_link(raw: Any) -> None:
    assert find_meeting_link(Provider.GOOGLE, raw) is None


def test_a_provider_may_be_a_plain_string() -> None:
    provider: Any = "google"
    link = find_meeting_link(provider, {"description": _ZOOM})
    assert link
    assert link.source == "description"


@pytest.mark.parametrize("scheme", ["data:text/html,", "javascript:", "view-source:", " Data:text/html;charset=utf-8,"])
def test_an_address_field_with_another_scheme_is_not_read_as_markup(scheme: str) -> None:
    event = {"onlineMeeting": {"joinUrl": f"{scheme}<a href={_ZOOM}>x</a> {_ZOOM}"}}
    assert find_meeting_link(Provider.MICROSOFT, event) is None
