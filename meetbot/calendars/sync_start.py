"""What the runs of a calendar user tell of the beginning of a sync. Pure."""

from __future__ import annotations

from datetime import datetime

from meetbot.domain.sync_run import SyncStart, trigger_of
from meetbot.providers.base import Listing
from meetbot.storage.calendar_user_context import CalendarUserContext


def begin(
    user: CalendarUserContext, began_at: datetime, listing: Listing | None = None, *, calendar_is_read: bool = True
) -> SyncStart:
    """Return the sync as it began; ``listing`` is what the provider answered, if it did."""
    notified = [channel.last_notified_at for channel in user.channels if channel.last_notified_at is not None]
    trigger = trigger_of(
        calendar_is_read=calendar_is_read,
        last=user.last_synced_at,
        asked_at=user.asked_at,
        notified_at=max(notified, default=None),
    )
    return SyncStart(trigger, began_at, None if listing is None else len(listing.events))
