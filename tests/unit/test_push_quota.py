"""The arithmetic against Google's daily threshold."""

from __future__ import annotations

import pytest

from meetbot.doctor import examine
from meetbot.push.quota import describe_google, google_requests_per_day, google_users_below_threshold
from meetbot.settings import Settings


def test_polling_every_five_minutes_costs_two_requests_each_time() -> None:
    assert google_requests_per_day(300, with_push=False) == 576
    assert google_users_below_threshold(300, with_push=False) == 1736


def test_hourly_polls_with_push_leave_room_for_six_times_as_many() -> None:
    assert google_users_below_threshold(3600, with_push=True) > 6 * google_users_below_threshold(300, with_push=False)


def test_the_line_names_the_threshold() -> None:
    assert "1,000,000" in describe_google(300, with_push=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "off, calendars are polled"),
        ({"public_url": "https://calendar.example"}, "on; at one poll in 300 s"),
        ({"public_url": "https://calendar.example", "poll_with_push_seconds": 3600}, "on; at one poll in 3600 s"),
        ({"public_url": "https://calendar.example", "push": "off"}, "off"),
        ({"outbound_allow_cidrs": "127.0.0.0/8"}, "on;"),
    ],
)
def test_the_doctor_tells_about_push(settings: dict[str, object], said: str) -> None:
    (finding,) = (one for one in examine(Settings.model_validate(settings)) if one.part == "push")
    assert finding.fault is None
    assert finding.note.startswith(said)
