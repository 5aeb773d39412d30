"""What people do with meetings: create, change, cancel, restore, answer, split, move.

Every function changes the state in one go and then calls `record_change`, so that guests' calendars follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.calendar import provider_ids, recurrence
from sandbox.calendar.accounts import find_account
from sandbox.calendar.copies import add_copy, is_invited, record_change
from sandbox.calendar.errors import NotFoundError
from sandbox.calendar.records import Account, Calendar, Deviation, Guest, Meeting, Provider, ResponseStatus
from sandbox.state import State


def find_meeting(state: State, key: str) -> Meeting:
    """Return the meeting with this key. Raises `NotFoundError`."""
    if key not in state.meetings:
        raise NotFoundError("no such event")
    return state.meetings[key]


def create(state: State, now: datetime, account: Account, calendar: Calendar, fields: Mapping[str, Any]) -> Meeting:
    """Put a new meeting on a calendar and return it.

    ``fields`` are those of `Meeting`; title, start and end are required. Raises `RecurrenceError`.
    """
    origin = fields.get("origin", account.provider)
    own = {"organizer_email": account.email, "organizer_name": account.name}
    if not calendar.primary:  # Google names a secondary calendar itself as the organiser of its events.
        own = {"organizer_email": calendar.id, "organizer_name": calendar.name}
    google_id = provider_ids.new_google_id()
    new_uid = f"{google_id}@google.com" if origin is Provider.GOOGLE else provider_ids.new_goid()
    meeting = Meeting(
        **{
            **own,
            **fields,
            "key": provider_ids.new_key("mtg"),
            "uid": fields.get("uid") or new_uid,
            "origin": origin,
            "created": now,
            "updated": now,
        }
    )
    if meeting.recurrence:
        recurrence.check_recurrence(meeting.recurrence, meeting.start, meeting.time_zone)
    state.meetings[meeting.key] = meeting
    add_copy(state, meeting, account, calendar.id, owned=True, google_id=google_id)
    record_change(state, now, meeting)
    return meeting


def change(state: State, now: datetime, meeting: Meeting, fields: Mapping[str, Any]) -> None:
    """Edit a single meeting, or a series as a whole. Raises `RecurrenceError`.

    If the times change, changed occurrences that the series no longer has are dropped.
    """
    edited = meeting.model_copy(update=dict(fields))
    if edited.recurrence:
        recurrence.check_recurrence(edited.recurrence, edited.start, edited.time_zone)
    if any(name in fields for name in ("start", "end", "recurrence", "time_zone")):
        edited.sequence += 1
        edited.deviations = {
            key: deviation
            for key, deviation in meeting.deviations.items()
            if recurrence.is_original_start(edited.recurrence, edited.start, edited.time_zone, deviation.original_start)
        }
    state.meetings[meeting.key] = edited
    record_change(state, now, edited)


def set_cancelled(state: State, now: datetime, meeting: Meeting, cancelled: bool) -> None:
    """Cancel a meeting or a whole series, as its organiser does, or take the cancellation back."""
    meeting.cancelled = cancelled
    meeting.sequence += 1
    record_change(state, now, meeting)


def change_occurrence(
    state: State, now: datetime, meeting: Meeting, original_start: datetime, fields: Mapping[str, Any]
) -> None:
    """Make one occurrence differ from its series.

    ``fields`` are those of `Deviation`. Raises `NotFoundError`.
    """
    deviation = deviation_at(meeting, original_start).model_copy(update=dict(fields))
    meeting.deviations[_deviation_key(original_start)] = deviation
    meeting.sequence += "start" in fields
    record_change(state, now, meeting, deviation)


def deviation_at(meeting: Meeting, original_start: datetime) -> Deviation:
    """Return how this occurrence differs from its series; an empty record if it does not.

    Raises `NotFoundError` if the series has no such occurrence.
    """
    known = meeting.deviations.get(_deviation_key(original_start))
    if known is not None:
        return known
    series = (meeting.recurrence, meeting.start, meeting.time_zone)
    if not meeting.recurrence or not recurrence.is_original_start(*series, original_start):
        raise NotFoundError("the series has no occurrence at that start")
    return Deviation(original_start=original_start)


def respond(
    state: State, now: datetime, meeting: Meeting, email: str, answer: ResponseStatus, original_start: datetime | None
) -> None:
    """Record a guest's answer to the whole meeting or to one occurrence.

    An organiser who is not on the guest list is added to it. Raises `NotFoundError`.
    """
    if email == meeting.organizer_email and not is_invited(meeting.guests, email):
        meeting.guests = [*meeting.guests, Guest(email=email, name=meeting.organizer_name)]
    if original_start is None:
        meeting.guests = _answered(meeting.guests, email, answer)
        for deviation in meeting.deviations.values():
            if deviation.guests is not None and is_invited(deviation.guests, email):
                deviation.guests = _answered(deviation.guests, email, answer)
        record_change(state, now, meeting)
        return
    deviation = deviation_at(meeting, original_start)
    guests = meeting.guests if deviation.guests is None else deviation.guests
    change_occurrence(state, now, meeting, original_start, {"guests": _answered(guests, email, answer)})


def split(
    state: State, now: datetime, meeting: Meeting, original_start: datetime, fields: Mapping[str, Any]
) -> Meeting:
    """Edit "this and following": end the series early and return the new one that goes on.

    The series ends before ``original_start``. The new one has another UID, as at both providers. Raises `NotFoundError`.
    """
    deviation_at(meeting, original_start)
    length = meeting.end - meeting.start
    start = fields.get("start", original_start)
    suffix = original_start.strftime("%Y%m%dT%H%M%S")
    base = meeting.uid.partition("@")[0]
    update = {
        "key": provider_ids.new_key("mtg"),
        "uid": f"{base}_R{suffix}@google.com" if meeting.origin is Provider.GOOGLE else provider_ids.new_goid(),
        "start": start,
        "end": start + length,
        "deviations": {},
        "sequence": 0,
        "created": now,
        **fields,
    }
    following = meeting.model_copy(update=update, deep=True)
    owned = [copy for copy in state.copies.values() if copy.meeting == meeting.key and copy.owned]
    state.meetings[following.key] = following
    for copy in owned:
        account = find_account(state, copy.account)
        new_id = f"{copy.google_id}_R{suffix}" if meeting.origin is Provider.GOOGLE else None
        add_copy(state, following, account, copy.calendar, owned=True, google_id=new_id)
    record_change(state, now, following)
    change(state, now, meeting, {"recurrence": recurrence.ended_before(meeting.recurrence, original_start)})
    return following


def move_to_calendar(state: State, now: datetime, meeting: Meeting, account: Account, calendar: Calendar) -> None:
    """Move an account's copy to another of its calendars; on the old one it stays as removed."""
    for copy in list(state.copies.values()):
        if copy.meeting == meeting.key and copy.account == account.email and not copy.removed:
            state.change += 1
            copy.removed, copy.change = True, state.change
            moved = add_copy(state, meeting, account, calendar.id, owned=copy.owned)
            moved.graph_key = copy.graph_key
    record_change(state, now, meeting)


def remove_from_calendar(state: State, meeting: Meeting, account: Account) -> None:
    """Take the meeting off one account's calendars only."""
    for copy in state.copies.values():
        if copy.meeting == meeting.key and copy.account == account.email:
            state.change += 1
            copy.removed, copy.owned, copy.change = True, False, state.change


def _answered(guests: list[Guest], email: str, answer: ResponseStatus) -> list[Guest]:
    if not is_invited(guests, email):
        raise NotFoundError("not a guest of this meeting")
    return [
        guest.model_copy(update={"answer": answer}) if guest.email.casefold() == email.casefold() else guest
        for guest in guests
    ]


def _deviation_key(original_start: datetime) -> str:
    return original_start.strftime("%Y%m%dT%H%M%SZ")
