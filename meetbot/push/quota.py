"""How many requests calendars cost at Google, and from how many on it may charge. Pure.

Source: developers.google.com/workspace/calendar/api/guides/quota (1,000,000 requests a day and project, billing threshold).
"""

from __future__ import annotations

GOOGLE_DAILY_THRESHOLD = 1_000_000

# The list of calendars, and the events of the primary one. Each further calendar is one more.
_REQUESTS_PER_SYNC = 2
# Renewals: a watch and a stop every six days.
_CHANNEL_REQUESTS_PER_DAY = 2 / 6
# An assumption: a busy person's calendar, each change on its own.
CHANGES_PER_DAY = 20
_SECONDS_PER_DAY = 86_400


def google_requests_per_day(poll_seconds: int, *, with_push: bool) -> float:
    """Return the requests of one calendar user with one calendar in a day."""
    polls = _SECONDS_PER_DAY / poll_seconds * _REQUESTS_PER_SYNC
    return polls + (CHANGES_PER_DAY * _REQUESTS_PER_SYNC + _CHANNEL_REQUESTS_PER_DAY if with_push else 0)


def google_users_below_threshold(poll_seconds: int, *, with_push: bool) -> int:
    """Return how many calendar users fit below the daily threshold of one Google project."""
    return int(GOOGLE_DAILY_THRESHOLD / google_requests_per_day(poll_seconds, with_push=with_push))


def describe_google(poll_seconds: int, *, with_push: bool) -> str:
    """Return the arithmetic in one line."""
    requests = google_requests_per_day(poll_seconds, with_push=with_push)
    users = google_users_below_threshold(poll_seconds, with_push=with_push)
    return (
        f"at one poll in {poll_seconds} s a Google calendar user costs {requests:,.0f} requests a day, "
        f"so {users:,} stay below Google's daily threshold of {GOOGLE_DAILY_THRESHOLD:,}"
    )
