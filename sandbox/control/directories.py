"""Microsoft's directories: their policy, and what their administrators do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel

from sandbox.control.field_types import Email
from sandbox.login.directories import approve, permissions, put_directory
from sandbox.login.records import Directory, UserConsent
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control/directories", tags=["Control: accounts"])

Domain = Annotated[str, Path(max_length=253, pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]


class DirectoryPolicy(BaseModel, extra="forbid"):
    """Who may consent in a directory, and who administers it. What is left out stays as it is."""

    user_consent: UserConsent | None = None
    administrators: list[Email] | None = None
    names_reason: bool | None = None


class Approval(BaseModel, extra="forbid"):
    """What an administrator approves in the admin centre, for everybody."""

    client_id: str
    scopes: list[str] = ["Calendars.Read"]


@router.get("")
async def list_directories(sandbox: CurrentSandbox) -> list[Directory]:
    """List the directories that have a policy. All others let their users consent."""
    return list(sandbox.state.directories.values())


@router.put("/{domain}")
async def put_policy(domain: Domain, body: DirectoryPolicy, sandbox: CurrentSandbox) -> Directory:
    """Set the policy of the directory that has this mail domain."""
    directory = put_directory(sandbox.state, domain)
    if body.user_consent is not None:
        directory.user_consent = body.user_consent
    if body.administrators is not None:
        directory.administrators = [email.casefold() for email in body.administrators]
    if body.names_reason is not None:
        directory.names_reason = body.names_reason
    return directory


@router.post("/{domain}/approvals", status_code=201)
async def approve_client(domain: Domain, body: Approval, sandbox: CurrentSandbox) -> Directory:
    """Approve a client, and with it what users have requested for it."""
    directory = _directory(sandbox, domain)
    approve(directory, body.client_id, body.scopes)
    return directory


@router.delete("/{domain}/approvals/{client_id}", status_code=204)
async def take_approval_back(domain: Domain, client_id: str, sandbox: CurrentSandbox) -> None:
    """Take the approval of a client back: grants that rest on it cannot be refreshed any more."""
    if _directory(sandbox, domain).approvals.pop(client_id, None) is None:
        raise HTTPException(404, "This client is not approved.")


@router.post("/{domain}/requests/refuse")
async def refuse_requests(domain: Domain, body: Approval, sandbox: CurrentSandbox) -> Directory:
    """Refuse what users have requested for a client."""
    directory = _directory(sandbox, domain)
    for request in directory.requests:
        if request.client_id == body.client_id and permissions(request.scopes) <= permissions(body.scopes):
            request.approved = False
    return directory


def _directory(sandbox: Sandbox, domain: str) -> Directory:
    found = next((each for each in sandbox.state.directories.values() if each.domain == domain.casefold()), None)
    if found is None:
        raise HTTPException(404, "This directory has no policy.")
    return found
