"""The directory in the paths of Microsoft's login: an id, a domain, or a name for several."""

from __future__ import annotations

from typing import NoReturn

from sandbox.login.authorization_requests import AuthorizationPageError
from sandbox.login.directories import SHARED_NAMES, find_directory_id
from sandbox.login.records import RegisteredClient
from sandbox.running import Sandbox

ONE_DIRECTORY = "Application is not configured as a multi-tenant application. Use a tenant-specific endpoint."


def signing_in_to(sandbox: Sandbox, tenant: str) -> str | None:
    """Return the id of the directory whose accounts may sign in; None: those of any.

    Raises `AuthorizationPageError` for one that does not exist.
    """
    if tenant in SHARED_NAMES:
        return None
    found = find_directory_id(sandbox.state, tenant)
    if found is None:
        raise AuthorizationPageError(400, "AADSTS90002", "Tenant not found.")
    return found


def is_elsewhere(sandbox: Sandbox, client: RegisteredClient, tenant: str) -> bool:
    """Return whether an application of one directory is asked for under another."""
    if client.directory is None or client.directory == tenant:
        return False
    if tenant in SHARED_NAMES:
        return True
    own, asked = (find_directory_id(sandbox.state, name) for name in (client.directory, tenant))
    return own is None or own != asked


def refuse_other_directory() -> NoReturn:
    """Raise the page for an application of one directory that is asked for under another."""
    raise AuthorizationPageError(400, "AADSTS50194", ONE_DIRECTORY)
