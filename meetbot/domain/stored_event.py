"""A calendar event as it is stored, reduced to what a sync compares and plans by."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class StoredEvent(NamedTuple):
    """A stored event with its calendar user's claim on the meeting.

    The claim's fields are None if there is none.

    ``is_unsettled``: whether the event may have to change its meeting key, because another copy's claim has changed.

    A tuple because each sync makes one of every stored event: a dataclass takes several times as long.
    """

    id: str
    calendar_id: str
    provider_event_id: str
    fingerprint: bytes
    deleted: bool
    start_at: datetime | None
    end_at: datetime | None
    outcome: str
    shared_key: str
    meeting_key: str
    meeting_url: str | None
    provider_updated: datetime | None
    is_organizer: bool
    claimed_event_id: str | None
    claimed_digest: str | None
    acknowledged_digest: str | None
    is_unsettled: bool = False
    reason: str = ""

    @property
    def keys(self) -> tuple[str, str]:
        """Return the shared key and the meeting key."""
        return self.shared_key, self.meeting_key

    def has_ended(self, now: datetime) -> bool:
        """Return whether the event is over; one without a usable end never is."""
        return self.end_at is not None and self.end_at <= now

    def is_ahead(self, now: datetime) -> bool:
        """Return whether the event has a usable end and that is still to come."""
        return self.end_at is not None and self.end_at > now


class StoredClaim(NamedTuple):
    """A calendar user's claim on a meeting.

    It holds the event it rests on, its target, and the target that its bot has accepted.
    """

    meeting_key: str
    event_id: str
    target_digest: str
    acknowledged_digest: str | None
