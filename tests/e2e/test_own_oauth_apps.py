"""A tenant's own OAuth app on a running stack, each part in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import psycopg
import pytest

from meetbot.temporal.client import connect
from meetbot.temporal.messages import WorkflowName
from tests.e2e.stack import Stack, eventually, running_stack
from tests.workflows.test_replay import payloads_in

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SECRET = "a-secret-of-the-tenant-4711"
PROVIDERS = ("google", "microsoft")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("own-apps") / "state") as started:
        started.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
        for provider in PROVIDERS:
            client = {"client_id": "own-client", "client_secret": SECRET}
            started.sandbox.post("/control/oauth-clients", json=client | {"provider": provider}).raise_for_status()
            started.api.put(f"/v1/oauth-apps/{provider}", json=client).raise_for_status()
        yield started


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_calendar_is_connected_and_synced_through_the_tenants_app(stack: Stack, provider: str) -> None:
    email = f"ada@{provider}.test"
    stack.sandbox.post("/control/accounts", json={"email": email, "provider": provider}).raise_for_status()
    user = stack.connect(email, provider)
    stack.put_event(email, title="Planning", starts_in_minutes=600)
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    eventually(lambda: titles(stack, user) == ["Planning"], seconds=60, what="the event")
    # A reconnection finds the calendar's workflow running.
    assert stack.connect(email, provider) == user
    stack.put_event(email, title="Review", starts_in_minutes=700)
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    eventually(lambda: len(titles(stack, user)) == 2, seconds=60, what="the second event")
    shown = stack.api.get(f"/v1/oauth-apps/{provider}").json()
    assert (shown["users"], shown["error_code"]) == (1, None)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_check_asks_the_token_endpoint(stack: Stack, provider: str) -> None:
    answer = stack.api.post(f"/v1/oauth-apps/{provider}/check").raise_for_status().json()
    assert {check["check"]: check["ok"] for check in answer["data"]}["credentials"] is True


def test_neither_history_nor_database_tells_a_secret(stack: Stack) -> None:
    stack.sandbox.post("/control/accounts", json={"email": "eve@acme.test", "provider": "google"}).raise_for_status()
    stack.connect("eve@acme.test")
    told = asyncio.run(histories(stack)) + stored(stack)
    for trace in (SECRET, "eve@acme.test", "4/0A", "code_verifier", "own-client"):
        assert trace not in told, trace
    assert "con_" in told


def titles(stack: Stack, user: str) -> list[str]:
    return [event["title"] for event in stack.api.get(f"/v1/calendar/users/{user}/events").json()["data"]]


async def histories(stack: Stack) -> str:
    """All that is encoded in the histories of the workflows about the app."""
    client, found = await connect(stack.environment["TEMPORAL_ADDRESS"]), [""]
    for kind in (WorkflowName.CONNECT, WorkflowName.OAUTH_APP_CHECK):
        listed = [one async for one in client.list_workflows(f"WorkflowType = '{kind}'")]
        assert listed
        for one in listed:
            history = await client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history()
            found += payloads_in(json.loads(history.to_json()))
    return "\n".join(found)


def stored(stack: Stack) -> str:
    """What the attempts and the apps hold, as the owner of the database sees it."""
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        tenant = stack.api.get("/v1/tenant").json()["id"]
        connection.execute("select set_config('app.tenant_id', %s, true)", [tenant])
        rows = connection.execute(
            "select jsonb_agg(to_jsonb(a) - 'login_hint' - 'customer_user_id' - 'oauth_client_id')::text "
            "from connect_attempt a"
        ).fetchone()
        apps = connection.execute("select jsonb_agg(to_jsonb(a) - 'client_id')::text from oauth_app a").fetchone()
    assert rows is not None
    assert apps is not None
    return f"{rows[0]}{apps[0]}"
