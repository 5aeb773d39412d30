"""People, their calendars and their consents."""

from __future__ import annotations

import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from sandbox.calendar.accounts import add_account, delete_account, find_account, find_calendar, new_account
from sandbox.calendar.records import Calendar, CalendarShare, Provider
from sandbox.calendar.sharing import SeenCalendar, graph_id_for, share_calendar, unshare_calendar
from sandbox.control.field_types import Email, Line, ZoneName
from sandbox.control.responses import account_document
from sandbox.login import grants
from sandbox.login.records import GrantEnd
from sandbox.running import CurrentSandbox

router = APIRouter(prefix="/control/accounts", tags=["Control: accounts"])


class NewAccount(BaseModel, extra="forbid"):
    """A person to create; the name is made from the address if it is missing."""

    email: Email
    provider: Provider
    name: Line | None = None
    time_zone: ZoneName = "UTC"


_ROLES = "^(freeBusyReader|reader|writer|writerWithoutPrivateAccess|owner)$"


class NewCalendar(BaseModel, extra="forbid"):
    """A secondary calendar to create; `access_role` is one of Google's."""

    name: Line = Field(min_length=1)
    time_zone: ZoneName = "UTC"
    access_role: str = Field(default="owner", pattern=_ROLES)


class CalendarChange(BaseModel, extra="forbid"):
    """What to change of a secondary calendar."""

    name: Line | None = Field(default=None, min_length=1)
    access_role: str | None = Field(default=None, pattern=_ROLES)
    hidden: bool | None = None


class Share(BaseModel, extra="forbid"):
    """With whom a calendar is shared, and as what.

    Shared once more, it is shared as the new role alone.
    """

    email: Email
    access_role: str = Field(default="reader", pattern=_ROLES)
    hidden: bool = False


@router.get("")
async def list_accounts(sandbox: CurrentSandbox) -> list[dict[str, Any]]:
    """List all people with their calendars and consents."""
    return [account_document(sandbox.state, account) for account in sandbox.state.accounts.values()]


@router.post("", status_code=201)
async def create_account(body: NewAccount, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Create a person with one calendar that holds the meetings they were invited to before."""
    if body.email in sandbox.state.accounts:
        raise HTTPException(409, "This account exists already.")
    account = new_account(body.email, body.name or body.email.partition("@")[0].title(), body.provider, body.time_zone)
    add_account(sandbox.state, sandbox.now(), account)
    return account_document(sandbox.state, account)


@router.delete("/{email}", status_code=204)
async def remove_account(email: str, sandbox: CurrentSandbox) -> None:
    """Delete a person with their calendars, copies and grants."""
    delete_account(sandbox.state, find_account(sandbox.state, email).email)


@router.post("/{email}/calendars", status_code=201)
async def create_calendar(email: str, body: NewCalendar, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Give a person another, empty calendar."""
    account = find_account(sandbox.state, email)
    calendar_id = f"c_{secrets.token_hex(16)}@group.calendar.google.com"
    account.calendars.append(Calendar(id=calendar_id, **body.model_dump()))
    return account_document(sandbox.state, account)["calendars"][-1]  # type: ignore[no-any-return]


@router.patch("/{email}/calendars/{calendar_id}")
async def change_calendar(
    email: str, calendar_id: str, body: CalendarChange, sandbox: CurrentSandbox
) -> dict[str, Any]:
    """Rename or hide a calendar, or change what its owner may do with it."""
    account = find_account(sandbox.state, email)
    calendar = find_calendar(account, calendar_id)
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(calendar, name, value)
    return account_document(sandbox.state, account)


@router.post("/{email}/calendars/{calendar_id}/shares", status_code=201)
async def share(email: str, calendar_id: str, body: Share, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Put a person's calendar into another person's list, at the same provider."""
    owner, account = find_account(sandbox.state, email), find_account(sandbox.state, body.email)
    calendar = find_calendar(owner, calendar_id)
    if owner is account or owner.provider is not account.provider:
        raise HTTPException(409, "A calendar is shared with another person at the same provider.")
    change = {"access_role": body.access_role, "hidden": body.hidden}
    share_calendar(
        sandbox.state, CalendarShare(account=account.email, owner=owner.email, calendar=calendar.id, **change)
    )
    return {"id": calendar.id, "graph_id": graph_id_for(account, SeenCalendar(owner, calendar, is_shared=True))}


@router.delete("/{email}/calendars/{calendar_id}/shares/{other}", status_code=204)
async def unshare(email: str, calendar_id: str, other: str, sandbox: CurrentSandbox) -> None:
    """Take a shared calendar out of another person's list."""
    calendar = find_calendar(find_account(sandbox.state, email), calendar_id)
    if not unshare_calendar(sandbox.state, find_account(sandbox.state, other), calendar):
        raise HTTPException(404, "The calendar is not shared with this person.")


@router.delete("/{email}/calendars/{calendar_id}", status_code=204)
async def delete_calendar(email: str, calendar_id: str, sandbox: CurrentSandbox) -> None:
    """Take a secondary calendar from a person."""
    account = find_account(sandbox.state, email)
    calendar = find_calendar(account, calendar_id)
    if calendar.primary:
        raise HTTPException(409, "The primary calendar cannot be deleted.")
    account.calendars.remove(calendar)


class RevocationCause(StrEnum):
    """What a person or an administrator does at the provider.

    `EVERYTHING` is none of the providers' ways: all tokens are dead at once. `PASSWORD_CHANGE` ends no grant for calendars:
    Google's end if they are for Gmail, Microsoft's if no client secret goes with them.
    """

    EVERYTHING = "everything"
    USER = "user"
    ADMINISTRATOR = "administrator"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - no password
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password


class RevocationRequest(BaseModel, extra="forbid"):
    """Why grants end."""

    by: RevocationCause = RevocationCause.EVERYTHING


@router.post("/{email}/revoke", status_code=204)
async def revoke(email: str, sandbox: CurrentSandbox, body: RevocationRequest | None = None) -> None:
    """End all grants of a person, as the provider ends them for this cause.

    Google's access tokens die with the grant. Microsoft's live on until they expire: only a refresh is refused.
    """
    account = find_account(sandbox.state, email)
    cause = body.by if body is not None else RevocationCause.EVERYTHING
    at_google = account.provider is Provider.GOOGLE
    if cause is RevocationCause.PASSWORD_CHANGE or (cause is RevocationCause.PASSWORD_RESET and at_google):
        return
    for grant in [grant for grant in sandbox.state.grants.values() if grant.account == account.email]:
        if cause is RevocationCause.EVERYTHING:
            grants.revoke_grant(sandbox.state, grant.id)
        else:
            grants.end_grant(sandbox.state, grant, GrantEnd(cause.value), with_access_tokens=at_google)


@router.post("/{email}/expire-access-tokens", status_code=204)
async def expire_access_tokens(email: str, sandbox: CurrentSandbox) -> None:
    """Let all access tokens of a person expire now."""
    account = find_account(sandbox.state, email)
    owned = {grant.id for grant in sandbox.state.grants.values() if grant.account == account.email}
    for token in sandbox.state.access_tokens.values():
        if token.grant in owned:
            token.expires_at = min(token.expires_at, sandbox.now() - timedelta(seconds=1))


@router.post("/{email}/expire-sync-tokens", status_code=204)
async def expire_sync_tokens(email: str, sandbox: CurrentSandbox) -> None:
    """Let every sync token given so far for a person's calendars answer 410."""
    for calendar in find_account(sandbox.state, email).calendars:
        calendar.sync_epoch += 1
