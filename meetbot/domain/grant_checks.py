"""How soon it is noticed that somebody has taken access back at the provider. Pure.

Google's access tokens die with the grant, so that a poll notices. Microsoft's live on for an hour or more: only a refresh
tells. A refresh asks the login, and counts for no quota of the calendar API.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from meetbot.domain.event import Provider
from meetbot.domain.sync_slots import next_slot, sync_phase

NOTICED_WITHIN: Final = timedelta(minutes=5)
"""So often a grant is proved, whether or not the calendar is polled."""

PROOF_LASTS: Final = NOTICED_WITHIN / 2
"""A grant that was proved in this time is not proved again: less than from one proof to the next."""

_POLL_PROVES: Final = frozenset({Provider.GOOGLE})


def proof_for_poll(provider: Provider) -> timedelta | None:
    """Return how old an access token may be for a poll; None if the poll itself is the proof."""
    return None if provider in _POLL_PROVES else PROOF_LASTS


def next_look(now: datetime, calendar_user_id: str, interval: timedelta) -> datetime:
    """Return when a calendar is next polled, or its grant proved between slow polls."""
    poll = next_slot(now, interval, sync_phase(calendar_user_id, interval))
    if interval <= NOTICED_WITHIN:
        return poll
    return min(poll, next_slot(now, NOTICED_WITHIN, sync_phase(calendar_user_id, NOTICED_WITHIN)))


def is_poll_due(
    now: datetime,
    calendar_user_id: str,
    interval: timedelta,
    polled_at: datetime | None,
    *,
    wanted_at: datetime | None = None,
) -> bool:
    """Return whether a slot has passed since the last poll, or one is wanted.

    ``wanted_at`` is since when a poll is wanted, if somebody asked for one. ``polled_at`` is when the calendar was last read
    to its end.
    """
    passed = next_slot(now, interval, sync_phase(calendar_user_id, interval)) - interval
    return polled_at is None or polled_at < (passed if wanted_at is None else max(passed, wanted_at))
