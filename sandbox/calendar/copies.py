"""Copies of meetings on calendars: which exist, and how they follow the guest list.

`record_change` is called after every edit. It gives the edit a number, by which incremental listings find
the edit, and gives every invited account its copy.
"""

from __future__ import annotations

from datetime import datetime

from sandbox.calendar import provider_ids
from sandbox.calendar.records import Account, CalendarCopy, Deviation, Guest, Meeting
from sandbox.state import State


def copies_on(state: State, account: str, calendar: str) -> list[CalendarCopy]:
    """Return all copies on one calendar of an account, removed ones included."""
    return [copy for copy in state.copies.values() if copy.account == account and copy.calendar == calendar]


def add_copy(
    state: State, meeting: Meeting, account: Account, calendar: str, *, owned: bool, google_id: str | None = None
) -> CalendarCopy:
    """Put a copy of the meeting on a calendar and return it.

    Google's event id is the given one, else the one in a UID that Google made, else one made from the UID.
    """
    shared = meeting.uid.removesuffix("@google.com") if meeting.uid.endswith("@google.com") else None
    on_calendar = {copy.google_id for copy in state.copies.values() if copy.calendar == calendar}
    wanted = google_id or shared or provider_ids.imported_google_id(meeting.uid)
    copy = CalendarCopy(
        key=provider_ids.new_key("cpy"),
        meeting=meeting.key,
        account=account.email,
        calendar=calendar,
        google_id=provider_ids.new_google_id() if wanted in on_calendar else wanted,
        graph_key=provider_ids.new_graph_key(),
        owned=owned,
        change=state.change,
    )
    state.copies[copy.key] = copy
    return copy


def record_change(state: State, now: datetime, meeting: Meeting, deviation: Deviation | None = None) -> None:
    """Number an edit of the meeting, or of one occurrence, and update all accounts' copies."""
    state.change += 1
    touched = meeting if deviation is None else deviation
    touched.change, touched.updated = state.change, now
    for account in state.accounts.values():
        _update_copies(state, meeting, account)


def is_invited(guests: list[Guest], email: str) -> bool:
    """Return whether the address is on a guest list."""
    return any(guest.email.casefold() == email.casefold() for guest in guests)


def occurrences_inviting(meeting: Meeting, email: str) -> list[datetime]:
    """Return the original starts of occurrences that have the address on their own guest list."""
    return [
        deviation.original_start
        for deviation in meeting.deviations.values()
        if deviation.guests is not None and is_invited(deviation.guests, email)
    ]


def _update_copies(state: State, meeting: Meeting, account: Account) -> None:
    """Make an account's copies agree with the guest list; one that it owns stays as it is."""
    copies = [c for c in state.copies.values() if c.meeting == meeting.key and c.account == account.email]
    live = [copy for copy in copies if not copy.removed]
    if any(copy.owned for copy in live):
        return
    invited = is_invited(meeting.guests, account.email)
    occurrences = None if invited else occurrences_inviting(meeting, account.email)
    wanted = invited or bool(occurrences)
    if wanted and not copies:
        primary = next(calendar for calendar in account.calendars if calendar.primary)
        live = [add_copy(state, meeting, account, primary.id, owned=False)]
    for copy in live:
        if (copy.uninvited, copy.occurrences) != (not wanted, occurrences or None):
            copy.uninvited, copy.occurrences, copy.change = not wanted, occurrences or None, state.change
