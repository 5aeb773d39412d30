"""People and their calendars: make, find and delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sandbox.calendar import provider_ids
from sandbox.calendar.copies import is_invited, occurrences_inviting, record_change
from sandbox.calendar.errors import NotFoundError
from sandbox.calendar.records import Account, Calendar, Provider
from sandbox.state import State

RecordT = TypeVar("RecordT")


def new_account(email: str, name: str, provider: Provider, time_zone: str = "UTC") -> Account:
    """Return a person with one empty calendar, not yet stored."""
    email = email.casefold()
    microsoft = provider is Provider.MICROSOFT
    calendar = Calendar(id=email, name="Calendar" if microsoft else email, time_zone=time_zone, primary=True)
    return Account(
        email=email,
        name=name,
        provider=provider,
        subject=str(uuid.uuid4()) if microsoft else provider_ids.new_google_subject(),
        directory=provider_ids.directory_of(email) if microsoft else "",
        calendars=[calendar],
    )


def add_account(state: State, now: datetime, account: Account) -> None:
    """Store a new account and give it the meetings it was invited to before it existed."""
    state.accounts[account.email] = account
    for meeting in state.meetings.values():
        if is_invited(meeting.guests, account.email) or occurrences_inviting(meeting, account.email):
            record_change(state, now, meeting)


def delete_account(state: State, email: str) -> None:
    """Delete an account with its calendars, copies and grants.

    Meetings that are left without any copy go too.
    """
    del state.accounts[email]
    _delete(state.copies, lambda copy: copy.account == email)
    _delete(state.shares, lambda share: email in (share.account, share.owner))
    _delete(state.google_channels, lambda channel: channel.account == email)
    _delete(state.subscriptions, lambda subscription: subscription.account == email)
    grants = {grant.id for grant in state.grants.values() if grant.account == email}
    _delete(state.grants, lambda grant: grant.id in grants)
    _delete(state.codes, lambda code: code.grant in grants)
    _delete(state.access_tokens, lambda token: token.grant in grants)
    _delete(state.refresh_tokens, lambda token: token.grant in grants)
    kept = {copy.meeting for copy in state.copies.values()}
    _delete(state.meetings, lambda meeting: meeting.key not in kept)


def find_account(state: State, email: str) -> Account:
    """Return the account of an address, in any letter case. Raises `NotFoundError`."""
    account = state.accounts.get(email.casefold())
    if account is None:
        raise NotFoundError("no such account")
    return account


def find_calendar(account: Account, calendar_id: str | None) -> Calendar:
    """Return the account's calendar. Raises `NotFoundError`.

    None and `primary` mean the primary one.
    """
    for calendar in account.calendars:
        if calendar.id == calendar_id or (calendar_id in (None, "primary") and calendar.primary):
            return calendar
    raise NotFoundError("no such calendar")


def _delete(records: dict[str, RecordT], unwanted: Callable[[RecordT], bool]) -> None:
    for key in [key for key, record in records.items() if unwanted(record)]:
        del records[key]
