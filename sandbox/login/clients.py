"""The OAuth clients that the logins know: the sandbox's own, and those that were added."""

from __future__ import annotations

import secrets

from sandbox.calendar.records import Provider
from sandbox.login.records import RegisteredClient
from sandbox.running import Sandbox


def find_client(sandbox: Sandbox, provider: Provider, client_id: str) -> RegisteredClient | None:
    """Return the client of this id at a provider, None if nobody has registered it."""
    config = sandbox.config
    if client_id == config.client_id:
        return RegisteredClient(
            provider=provider,
            client_id=client_id,
            client_secret=config.client_secret,
            redirect_uris=list(config.redirect_uris),
            in_testing=provider is Provider.GOOGLE and sandbox.state.behaviour.google_client_in_testing,
        )
    return sandbox.state.oauth_clients.get(client_key(provider, client_id))


def client_key(provider: Provider, client_id: str) -> str:
    """Return the key of a client that was added."""
    return f"{provider.value}/{client_id}"


def secret_fits(client: RegisteredClient, secret: str) -> bool:
    """Return whether this is the client's secret."""
    return secrets.compare_digest(secret.encode(), client.client_secret.encode())


def is_registered(client: RegisteredClient, redirect_uri: str) -> bool:
    """Return whether the client may send browsers back there.

    If it has registered no address, it may anywhere.
    """
    return not client.redirect_uris or redirect_uri in client.redirect_uris
