"""OAuth clients besides the sandbox's own, as customers register them at the providers."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException

from sandbox.calendar.records import Provider
from sandbox.login.clients import client_key
from sandbox.login.records import RegisteredClient
from sandbox.running import CurrentSandbox

router = APIRouter(prefix="/control/oauth-clients", tags=["Control: accounts"])


@router.get("")
async def list_oauth_clients(sandbox: CurrentSandbox) -> list[RegisteredClient]:
    """List the clients that were added."""
    return list(sandbox.state.oauth_clients.values())


@router.post("", status_code=201)
async def put_oauth_client(body: RegisteredClient, sandbox: CurrentSandbox) -> RegisteredClient:
    """Add a client, or change the one with this id, such as its secret."""
    if not body.client_id or body.client_id == sandbox.config.client_id:
        raise HTTPException(409, "This is the sandbox's own client.")
    sandbox.state.oauth_clients[client_key(body.provider, body.client_id)] = body
    return body


@router.delete("/{provider}/{client_id}", status_code=204)
async def delete_oauth_client(provider: Provider, client_id: str, sandbox: CurrentSandbox) -> None:
    """Remove a client; its tokens are refused from now on."""
    if sandbox.state.oauth_clients.pop(client_key(provider, client_id), None) is None:
        raise HTTPException(404, "There is no such client.")
