"""Fetching one event of a Google calendar."""

from __future__ import annotations

import pytest

from meetbot.errors import ResourceGone
from tests.unit.providers.scripted import Script, google, google_error, google_event, reply

API = "/calendar/v3"
CALENDARS = f"{API}/users/me/calendarList"
PRIMARY = f"{API}/calendars/primary/events"
TEAM_ID = "team@group.calendar.google.com"
TEAM = f"{API}/calendars/team%40group.calendar.google.com/events"
TEAM_ENTRY = f"{CALENDARS}/team%40group.calendar.google.com"


def test_one_event_is_fetched_by_calendar_and_id() -> None:
    path = f"{TEAM}/a%2Fb_20260325T130000Z"
    script = Script({path: reply(google_event("a/b_20260325T130000Z"))})
    raw = google(script).get_event(
        "token", calendar_id=TEAM_ID, provider_event_id="a/b_20260325T130000Z", timeout_seconds=10
    )
    assert raw["id"] == "a/b_20260325T130000Z"
    assert "conferenceData" in script.requests[0].url.params["fields"]


@pytest.mark.parametrize(("status", "reason"), [(404, "notFound"), (410, "deleted")])
def test_an_event_that_is_not_there_is_gone(status: int, reason: str) -> None:
    script = Script({f"{PRIMARY}/e1": google_error(status, reason)})
    with pytest.raises(ResourceGone):
        google(script).get_event("token", calendar_id="primary", provider_event_id="e1", timeout_seconds=10)


@pytest.mark.parametrize("code", ["read", "connect", "pool", "write"])
def test_fetching_one_event_ends_within_the_time_given(code: str) -> None:
    script = Script({f"{PRIMARY}/e1": reply(google_event())})
    google(script).get_event("token", calendar_id="primary", provider_event_id="e1", timeout_seconds=0.5)
    assert script.requests[0].extensions["timeout"].get(code) <= 0.5
