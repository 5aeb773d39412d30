"""What people do with meetings: make, change, cancel, restore, answer, split, move to another calendar.

Every function changes the state in one go, numbers the change, and lets the copies on the guests' calendars follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sandbox.calendar import provider_ids, recurrence
from sandbox.calendar.records import (
    Account,
    Calendar,
    CalendarCopy,
    Deviation,
    Guest,
    Meeting,
    Provider,
    ResponseStatus,
)
from sandbox.state import State

T = TypeVar("T")


class NotFoundError(LookupError):
    """No such account, calendar, meeting or occurrence."""


class InvalidChangeError(ValueError):
    """Cannot be done to this meeting."""


def account_of(state: State, email: str) -> Account:
    account = state.accounts.get(email.casefold())
    if account is None:
        raise NotFoundError("no such account")
    return account


def calendar_of(account: Account, calendar_id: str | None) -> Calendar:
    for calendar in account.calendars:
        if calendar.id == calendar_id or (calendar_id in (None, "primary") and calendar.primary):
            return calendar
    raise NotFoundError("no such calendar")


def meeting_of(state: State, key: str) -> Meeting:
    if key not in state.meetings:
        raise NotFoundError("no such event")
    return state.meetings[key]


def create(state: State, now: datetime, account: Account, calendar: Calendar, fields: Mapping[str, Any]) -> Meeting:
    """Put a meeting on ``calendar``. ``fields`` are `Meeting`'s, of which title, start and end are needed."""
    origin = fields.get("origin", account.provider)
    own = {"organizer_email": account.email, "organizer_name": account.name}
    if not calendar.primary:  # a secondary calendar is its events' organiser
        own = {"organizer_email": calendar.id, "organizer_name": calendar.name}
    google_id = provider_ids.new_google_id()
    meeting = Meeting(
        **{
            **own,
            **fields,
            "key": provider_ids.new_key("mtg"),
            "uid": fields.get("uid")
            or (f"{google_id}@google.com" if origin is Provider.GOOGLE else provider_ids.new_goid()),
            "origin": origin,
            "created": now,
            "updated": now,
        }
    )
    if meeting.recurrence:
        recurrence.check_recurrence(meeting.recurrence, meeting.start, meeting.time_zone)
    state.meetings[meeting.key] = meeting
    _put_copy(state, meeting, account, calendar.id, owned=True, google_id=google_id)
    _changed(state, now, meeting)
    return meeting


def change(state: State, now: datetime, meeting: Meeting, fields: Mapping[str, Any]) -> None:
    """Edit a single meeting, or a series as a whole."""
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
    _changed(state, now, edited)


def cancel(state: State, now: datetime, meeting: Meeting) -> None:
    meeting.cancelled = True
    meeting.sequence += 1
    _changed(state, now, meeting)


def restore(state: State, now: datetime, meeting: Meeting) -> None:
    meeting.cancelled = False
    meeting.sequence += 1
    _changed(state, now, meeting)


def deviate(state: State, now: datetime, meeting: Meeting, original_start: datetime, fields: Mapping[str, Any]) -> None:
    """Make one occurrence differ from its series. ``fields`` are `Deviation`'s."""
    deviation = deviation_at(meeting, original_start).model_copy(update=dict(fields))
    meeting.deviations[_deviation_key(original_start)] = deviation
    meeting.sequence += "start" in fields
    _changed(state, now, meeting, deviation)


def deviation_at(meeting: Meeting, original_start: datetime) -> Deviation:
    """What is recorded of this occurrence; a blank where nothing is. Raises `NotFoundError` where there is none."""
    known = meeting.deviations.get(_deviation_key(original_start))
    if known is not None:
        return known
    series = (meeting.recurrence, meeting.start, meeting.time_zone)
    if not meeting.recurrence or not recurrence.is_original_start(*series, original_start):
        raise NotFoundError("the series has no occurrence at that start")
    return Deviation(original_start=original_start)


def answer(
    state: State, now: datetime, meeting: Meeting, email: str, given: ResponseStatus, original_start: datetime | None
) -> None:
    """A guest's answer, to the whole meeting or to one occurrence."""
    if email == meeting.organizer_email and not _invites(meeting.guests, email):
        meeting.guests = [*meeting.guests, Guest(email=email, name=meeting.organizer_name)]
    if original_start is None:
        meeting.guests = _answered(meeting.guests, email, given)
        for deviation in meeting.deviations.values():
            if deviation.guests is not None and _invites(deviation.guests, email):
                deviation.guests = _answered(deviation.guests, email, given)
        _changed(state, now, meeting)
        return
    deviation = deviation_at(meeting, original_start)
    guests = meeting.guests if deviation.guests is None else deviation.guests
    deviate(state, now, meeting, original_start, {"guests": _answered(guests, email, given)})


def split(
    state: State, now: datetime, meeting: Meeting, original_start: datetime, fields: Mapping[str, Any]
) -> Meeting:
    """Edit "this and following": the series ends before ``original_start``; a new one, with another UID, goes on."""
    deviation_at(meeting, original_start)
    length = meeting.end - meeting.start
    start = fields.get("start", original_start)
    stamp = original_start.strftime("%Y%m%dT%H%M%S")
    base = meeting.uid.partition("@")[0]
    update = {
        "key": provider_ids.new_key("mtg"),
        "uid": f"{base}_R{stamp}@google.com" if meeting.origin is Provider.GOOGLE else provider_ids.new_goid(),
        "start": start,
        "end": start + length,
        "deviations": {},
        "sequence": 0,
        "created": now,
        **fields,
    }
    following = meeting.model_copy(update=update, deep=True)
    owners = [copy for copy in state.copies.values() if copy.meeting == meeting.key and copy.owned]
    state.meetings[following.key] = following
    for copy in owners:
        account = account_of(state, copy.account)
        new_id = f"{copy.google_id}_R{stamp}" if meeting.origin is Provider.GOOGLE else None
        _put_copy(state, following, account, copy.calendar, owned=True, google_id=new_id)
    _changed(state, now, following)
    change(state, now, meeting, {"recurrence": recurrence.ended_before(meeting.recurrence, original_start)})
    return following


def move_to_calendar(state: State, now: datetime, meeting: Meeting, account: Account, calendar: Calendar) -> None:
    """Put the account's copy onto another of its calendars; the old one leaves a stub."""
    for copy in list(state.copies.values()):
        if copy.meeting == meeting.key and copy.account == account.email and not copy.removed:
            state.change += 1
            copy.removed, copy.change = True, state.change
            moved = _put_copy(state, meeting, account, calendar.id, owned=copy.owned, google_id=None)
            moved.graph_key = copy.graph_key
    _changed(state, now, meeting)


def remove_copy(state: State, meeting: Meeting, account: Account) -> None:
    """The account takes the meeting off its own calendars only."""
    for copy in state.copies.values():
        if copy.meeting == meeting.key and copy.account == account.email:
            state.change += 1
            copy.removed, copy.owned, copy.change = True, False, state.change


def forget_account(state: State, email: str) -> None:
    """Delete the account with its calendars, copies and grants. Meetings without any copy left go too."""
    del state.accounts[email]
    _drop(state.copies, lambda copy: copy.account == email)
    grants = {grant.id for grant in state.grants.values() if grant.account == email}
    _drop(state.grants, lambda grant: grant.id in grants)
    _drop(state.codes, lambda code: code.grant in grants)
    _drop(state.access_tokens, lambda token: token.grant in grants)
    _drop(state.refresh_tokens, lambda token: token.grant in grants)
    kept = {copy.meeting for copy in state.copies.values()}
    _drop(state.meetings, lambda meeting: meeting.key not in kept)


def adopt_account(state: State, now: datetime, account: Account) -> None:
    """Let an account that is new receive the meetings it had been invited to."""
    for meeting in state.meetings.values():
        if _is_involved(meeting, account.email):
            _changed(state, now, meeting)


def _changed(state: State, now: datetime, meeting: Meeting, deviation: Deviation | None = None) -> None:
    state.change += 1
    touched = meeting if deviation is None else deviation
    touched.change, touched.updated = state.change, now
    for account in state.accounts.values():
        _follow(state, meeting, account)


def _follow(state: State, meeting: Meeting, account: Account) -> None:
    """Make the account's copy agree with the guest list."""
    copies = [c for c in state.copies.values() if c.meeting == meeting.key and c.account == account.email]
    live = [copy for copy in copies if not copy.removed]
    if any(copy.owned for copy in live):
        return
    invited = _invites(meeting.guests, account.email)
    occurrences = None if invited else _occurrences_inviting(meeting, account.email)
    wanted = invited or bool(occurrences)
    if wanted and not copies:
        primary = next(calendar for calendar in account.calendars if calendar.primary)
        live = [_put_copy(state, meeting, account, primary.id, owned=False, google_id=None)]
    for copy in live:
        if (copy.uninvited, copy.occurrences) != (not wanted, occurrences or None):
            copy.uninvited, copy.occurrences, copy.change = not wanted, occurrences or None, state.change


def _put_copy(
    state: State, meeting: Meeting, account: Account, calendar: str, *, owned: bool, google_id: str | None
) -> CalendarCopy:
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


def _is_involved(meeting: Meeting, email: str) -> bool:
    return _invites(meeting.guests, email) or bool(_occurrences_inviting(meeting, email))


def _occurrences_inviting(meeting: Meeting, email: str) -> list[datetime]:
    return [
        deviation.original_start
        for deviation in meeting.deviations.values()
        if deviation.guests is not None and _invites(deviation.guests, email)
    ]


def _invites(guests: list[Guest], email: str) -> bool:
    return any(guest.email.casefold() == email.casefold() for guest in guests)


def _answered(guests: list[Guest], email: str, given: ResponseStatus) -> list[Guest]:
    if not _invites(guests, email):
        raise NotFoundError("not a guest of this meeting")
    return [
        guest.model_copy(update={"answer": given}) if guest.email.casefold() == email.casefold() else guest
        for guest in guests
    ]


def _deviation_key(original_start: datetime) -> str:
    return original_start.strftime("%Y%m%dT%H%M%SZ")


def _drop(records: dict[str, T], unwanted: Callable[[T], bool]) -> None:
    for key in [key for key, record in records.items() if unwanted(record)]:
        del records[key]
