"""What a sync found of an account's calendars, and what that means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from meetbot.calendars.decide_sync import CalendarChanges, CalendarSnapshot
from meetbot.calendars.listing_diff import Difference, Window, compare, left_with
from meetbot.calendars.sync_start import begin
from meetbot.domain.account_calendar import PRIMARY
from meetbot.domain.calendar_health import (
    KnownCalendar,
    ListChanges,
    Reading,
    after,
    changes_of,
    deselected,
    given_up_ids,
    selected_ids,
)
from meetbot.domain.sync_run import SyncStart
from meetbot.providers.base import Listing
from meetbot.providers.listing import FREE_BUSY_ONLY
from meetbot.storage.calendar_user_context import CalendarUserContext


@dataclass(frozen=True)
class CalendarListing:
    """An account's calendars as a sync found them.

    ``listing`` is None if the provider was not asked: because only stored events are decided about again, or because it asked
    us to wait (``is_held``).
    """

    user: CalendarUserContext
    listing: Listing | None
    window: Window
    began_at: datetime
    is_held: bool = False

    @property
    def is_whole(self) -> bool:
        """Return whether the account's own calendar was read to its end."""
        return self.listing is not None and self.listing.shortfall is None

    @property
    def start(self) -> SyncStart:
        """Return the sync as it began."""
        return begin(self.user, self.began_at, self.listing, calendar_is_read=self.listing is not None)

    @cached_property
    def changes(self) -> ListChanges:
        """Return how the stored list of calendars is to change."""
        user, listing = self.user, self.listing
        if listing is None:
            return deselected(user.calendars, user.calendars_mode, synced_before=user.last_synced_at)
        reading = Reading(
            listed=listing.calendars,
            complete=listing.complete_calendars,
            gone=listing.gone_calendars,
            refused=listing.refused_calendars,
            faults=listing.faults,
        )
        return changes_of(user.calendars, reading, synced_before=user.last_synced_at, began_at=self.began_at)

    @cached_property
    def known(self) -> list[KnownCalendar]:
        """Return the account's calendars as they are stored from now on."""
        return after(self.user.calendars, self.changes)

    def given_up(self, now: datetime) -> set[str]:
        """Return the calendars that have been refused for longer than the tenant's grace."""
        return given_up_ids(self.known, self.user.calendars_mode, grace=self.user.revoked_grace, now=now)

    def reported_on(self, now: datetime) -> frozenset[str]:
        """Return the calendars that the provider is to report changes of.

        Those are the ones that it lets us read.
        """
        if self.listing is None:
            return frozenset()
        faults = self.listing.faults
        hopeless = self.given_up(now) | {name for name in faults if faults[name] == FREE_BUSY_ONLY}
        return self.listing.read_calendars - (hopeless - {PRIMARY})

    def difference(self, snapshot: CalendarSnapshot, now: datetime) -> Difference:
        """Return what is new or changed, what is missing, and what has left with its calendar."""
        if self.listing is not None:
            return compare(snapshot.stored, self.listing, self.window, now=now)
        if not self.user.calendars:
            return Difference(changed=(), missing=())
        wanted = selected_ids(self.known, self.user.calendars_mode)
        return Difference(changed=(), missing=(), left=left_with(snapshot.stored, wanted, now=now))

    def unreadable(self, snapshot: CalendarSnapshot, now: datetime) -> tuple[str, ...]:
        """Return the ids of events to come whose calendar shows nothing any more."""
        hidden = self.given_up(now)
        return tuple(
            one.id
            for one in snapshot.stored
            if one.calendar_id in hidden and not one.deleted and not one.has_ended(now)
        )

    def left_out(self, changes: CalendarChanges) -> str | None:
        """Return the code of what could not be read, for people who look at the calendar user."""
        listing = self.listing
        if listing is None:
            return None
        if listing.shortfall is not None:
            return listing.shortfall
        if changes.skipped or listing.skipped:
            return "events_skipped"
        return "calendars_incomplete" if listing.faults else None
