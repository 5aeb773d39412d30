"""Microsoft's directories: who may consent in them, and what their administrators approved.

Sources: learn.microsoft.com/entra/identity/enterprise-apps/configure-user-consent, …/configure-admin-consent-workflow and
…/entra/identity-platform/v2-admin-consent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from sandbox.calendar import provider_ids
from sandbox.calendar.records import Account, Provider
from sandbox.login.records import ConsentRequest, Directory, UserConsent
from sandbox.state import State

IDENTITY_SCOPES = frozenset({"openid", "email", "profile", "offline_access"})
SHARED_NAMES = frozenset({"common", "organizations", "consumers"})
_GRAPH = "https://graph.microsoft.com/"
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


class Standing(StrEnum):
    """What consent an account's directory leaves to it, for one client and some permissions.

    `APPROVED`: an administrator has approved them for everybody.
    """

    FREE = "free"
    APPROVED = "approved"
    WITHHELD = "withheld"


def standing(state: State, account: Account, client_id: str, scopes: Iterable[str]) -> Standing:
    """Return what the account's directory says; without a policy everybody is free."""
    directory = state.directories.get(account.directory)
    if account.provider is not Provider.MICROSOFT or directory is None:
        return Standing.FREE
    if approves(directory, client_id, scopes):
        return Standing.APPROVED
    if directory.user_consent is UserConsent.ALLOWED or account.email in directory.administrators:
        return Standing.FREE
    return Standing.WITHHELD if permissions(scopes) else Standing.FREE


def approves(directory: Directory, client_id: str, scopes: Iterable[str]) -> bool:
    """Return whether an administrator has approved these permissions for everybody."""
    approved = directory.approvals.get(client_id)
    return approved is not None and permissions(scopes) <= set(approved)


def still_holds(state: State, account: Account, client_id: str, scopes: Iterable[str]) -> bool:
    """Return whether an approval that a grant rests on has not been taken back."""
    directory = state.directories.get(account.directory)
    return directory is not None and approves(directory, client_id, scopes)


def permissions(scopes: Iterable[str]) -> set[str]:
    """Return the permissions among these scopes by their short names.

    Scopes of the identity are none.
    """
    return {scope.removeprefix(_GRAPH) for scope in scopes} - IDENTITY_SCOPES


def approve(directory: Directory, client_id: str, scopes: Iterable[str]) -> None:
    """Approve permissions for everybody, and with them what was requested."""
    known = directory.approvals.get(client_id, [])
    directory.approvals[client_id] = sorted({*known, *permissions(scopes)})
    for request in directory.requests:
        if request.client_id == client_id and approves(directory, client_id, request.scopes):
            request.approved = True


def request_approval(directory: Directory, account: Account, client_id: str, scopes: Iterable[str], why: str) -> None:
    """Note what a user asks the administrators for; asked again, it is the same request."""
    directory.requests = [
        request for request in directory.requests if (request.account, request.client_id) != (account.email, client_id)
    ]
    asked = sorted(permissions(scopes))
    directory.requests.append(ConsentRequest(account=account.email, client_id=client_id, scopes=asked, why=why))


def put_directory(state: State, domain: str) -> Directory:
    """Return the directory of a mail domain, made if there is none."""
    domain = domain.casefold()
    directory_id = provider_ids.directory_of(f"@{domain}")
    return state.directories.setdefault(directory_id, Directory(id=directory_id, domain=domain))


def find_directory_id(state: State, name: str) -> str | None:
    """Return the id of the directory that an id or a domain names, None if there is none.

    There is one if somebody has an account in it, or if it was made.
    """
    lowered = name.casefold()
    wanted = lowered if _GUID.fullmatch(lowered) else provider_ids.directory_of(f"@{lowered}")
    known = {account.directory for account in state.accounts.values()} | state.directories.keys()
    return wanted if wanted in known else None
