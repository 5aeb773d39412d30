"""Cases 11, 34, 41, 43, 44, 46 and 91: what reading alone settles.

The numbers are those of docs/calendar-cases.md.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meetbot.calendars import listing_diff
from meetbot.domain.event import Event, Provider, Response
from meetbot.domain.sync_slots import next_slot, sync_phase
from meetbot.links import find_meeting_link
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.events import normalise_microsoft
from tests.unit.providers.scripted import google_event, graph_event

ZOOM = "https://us02web.zoom.us/j/81234567890?pwd=abc&from=addon"
CLEAN = "https://us02web.zoom.us/j/81234567890?pwd=abc"


def both(google: dict[str, Any], microsoft: dict[str, Any]) -> list[Event]:
    read = [
        normalise_google("primary", google_event(**google), owner_email="ann@acme.example"),
        normalise_microsoft("primary", graph_event(**microsoft), owner_email="ann@acme.example"),
    ]
    return [event for event in read if event is not None]


def test_case_11_after_a_change_of_how_events_are_read_all_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing_diff.fingerprint(b"{}")
    assert listing_diff.fingerprint(b"{}") == before
    monkeypatch.setattr(listing_diff, "_NORMALISING_REVISION", b"another")
    assert listing_diff.fingerprint(b"{}") != before


@pytest.mark.parametrize(
    ("word", "graph_word"), [("needsAction", "notResponded"), ("tentative", "tentativelyAccepted")]
)
def test_case_34_an_unanswered_or_tentative_invitation_is_told_apart_from_a_declined_one(
    word: str, graph_word: str
) -> None:
    owner = {"email": "ann@acme.example", "self": True, "responseStatus": word}
    bob = {"email": "bob@acme.example"}
    for event in both({"attendees": [owner], "organizer": bob}, {"responseStatus": {"response": graph_word}}):
        assert event.owner_response in (Response.NEEDS_ACTION, Response.TENTATIVE)


def test_case_41_an_event_that_blocks_no_time_is_a_meeting_like_any_other() -> None:
    for event in both({"transparency": "transparent"}, {"showAs": "free"}):
        assert event.is_meeting


@pytest.mark.parametrize(
    "written",
    [
        ZOOM.replace("&", "&amp;"),
        f'<a href="{ZOOM.replace("&", "&amp;")}">Join</a>',
        "https://www.google.com/url?q=https%3A%2F%2Fus02web.zoom.us%2Fj%2F81234567890%3Fpwd%3Dabc&sa=D&source=calendar",
        '<a href="https://www.google.com/url?q=https://us02web.zoom.us/j/81234567890?pwd%3Dabc&amp;sa=D">x</a>',
    ],
)
def test_case_43_a_link_in_html_or_behind_googles_own_redirect_is_found(written: str) -> None:
    link = find_meeting_link(Provider.GOOGLE, {"description": f"<p>Hi</p>{written}<br>"})
    assert link is not None
    assert link.url == CLEAN


@pytest.mark.parametrize(
    "wrapped",
    [
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fus02web.zoom.us%2Fj%2F81234567890%3Fpwd%3Dabc&data=05",
        "https://urldefense.com/v3/__https://us02web.zoom.us/j/81234567890?pwd=abc__;!!ABC!xyz$",
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__us02web.zoom.us_j_81234567890-3Fpwd-3Dabc&d=DwMF",
        "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fus02web.zoom.us%2fj%2f81234567890%3fpwd%3dabc&c=E",
        "https://eu.protection.sophos.com?d=zoom.us&u=" + base64.b64encode(CLEAN.encode()).decode(),
    ],
)
def test_case_44_a_link_behind_a_mail_gateway_is_read_without_fetching_it(wrapped: str) -> None:
    link = find_meeting_link(Provider.MICROSOFT, {"body": {"contentType": "html", "content": f"<p>{wrapped}</p>"}})
    assert link is not None
    assert link.url == CLEAN


def test_case_46_of_several_links_the_same_one_counts_at_every_sync() -> None:
    raw = {
        "location": ZOOM,
        "hangoutLink": "https://meet.google.com/abc-defg-hij",
        "description": "zoom.us/j/99999999999",
    }
    found = [find_meeting_link(Provider.GOOGLE, dict(sorted(raw.items(), reverse=turned))) for turned in (False, True)]
    assert {link.url for link in found if link is not None} == {"https://meet.google.com/abc-defg-hij"}


def test_case_91_after_an_hours_outage_a_calendar_has_one_slot_and_not_twelve() -> None:
    interval, phase = timedelta(minutes=5), sync_phase("cu_1", timedelta(minutes=5))
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    after = next_slot(now + timedelta(hours=1), interval, phase)
    assert timedelta(0) < after - (now + timedelta(hours=1)) <= interval
