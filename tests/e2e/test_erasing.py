"""Taking a calendar back and ending a tenant, on a running stack and by its commands."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from temporalio.client import WorkflowExecutionStatus

from meetbot.temporal.client import connect
from meetbot.temporal.messages import calendar_user_workflow_id
from tests.e2e.stack import Stack, eventually, printed_after, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

EVERYTHING = {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]}
SECRETS = ("acme.test", "Secret plan", "meet.google.com", "vault:")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("erasing") / "state") as started:
        started.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
        yield started


def connected(stack: Stack, email: str, *, starts_in_minutes: float = 600) -> str:
    """Connect a calendar with one meeting that is stored; return the calendar user's id."""
    stack.sandbox.post("/control/accounts", json={"email": email, "provider": "google"}).raise_for_status()
    user = stack.connect(email)
    stack.api.put(f"/v1/calendar/users/{user}/rules", json=EVERYTHING).raise_for_status()
    stack.put_event(email, title="Secret plan", starts_in_minutes=starts_in_minutes)
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    eventually(lambda: events(stack, user), seconds=60, what="the event")
    return user


def events(stack: Stack, user: str) -> list[dict[str, Any]]:
    return list(stack.api.get(f"/v1/calendar/users/{user}/events").json()["data"])


def erase(stack: Stack, user: str) -> str:
    answer = stack.api.delete(f"/v1/calendar/users/{user}")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["erasure_id"])


def certificate(stack: Stack, erasure_id: str, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        document: dict[str, Any] = stack.api.get(f"/v1/erasures/{erasure_id}").raise_for_status().json()
        return document if is_wanted(document) else None

    return eventually(look, seconds=120, what="the certificate")


def is_finished(document: dict[str, Any]) -> bool:
    return bool(document["state"] != "running")


def stored(stack: Stack, tenant_id: str) -> str:
    """All rows of the tenant in one text."""
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        connection.execute("select set_config('app.tenant_id', %s, true)", [tenant_id])
        tables = connection.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace "
            "and relname not in ('alembic_version', 'erasure_ledger')"
        ).fetchall()
        rows = sql.SQL("select coalesce(jsonb_agg(t)::text, '') from {} t")
        answers = [connection.execute(rows.format(sql.Identifier(name))).fetchone() for (name,) in tables]
    return "".join(answer[0] for answer in answers if answer is not None)


async def histories(address: str) -> str:
    """All that Temporal keeps of all workflows, payloads decoded."""
    client = await connect(address)
    texts = []
    async for execution in client.list_workflows(""):
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        described = await handle.describe()
        history = (await handle.fetch_history()).to_json()
        payloads = (
            base64.b64decode(each).decode("utf-8", "replace") for each in re.findall(r'"data": ?"([^"]+)"', history)
        )
        texts += [history, *payloads, str(await described.static_summary()), str(await described.memo())]
    return "\n".join(texts)


async def has_ended(stack: Stack, tenant_id: str, user: str) -> bool:
    client = await connect(stack.environment["TEMPORAL_ADDRESS"])
    described = await client.get_workflow_handle(calendar_user_workflow_id(tenant_id, user)).describe()
    return described.status is not WorkflowExecutionStatus.RUNNING


def meetbot(stack: Stack, *arguments: str) -> tuple[int, str]:
    command = [str(Path(sys.executable).with_name("meetbot")), *arguments, "--state", str(stack.state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_calendar_is_taken_back_while_its_bot_is_in_the_meeting(stack: Stack) -> None:
    user = connected(stack, "ada@acme.test", starts_in_minutes=1.8)
    eventually(stack.jobs, seconds=120, what="a bot at the backend")
    (event,) = events(stack, user)
    erasure_id = erase(stack, user)
    for path in ("", "/events", f"/events/{event['id']}", "/rules", "/rules/versions"):
        assert stack.api.get(f"/v1/calendar/users/{user}{path}").status_code == 404, path
    assert erase(stack, user) == erasure_id
    done = certificate(stack, erasure_id, is_finished)
    assert (done["state"], done["revocation"], done["deleted"]["calendar_user"]) == ("completed", "revoked", 1)
    recalled = eventually(
        lambda: [job for job in stack.jobs() if job["status"] == "cancelled"], seconds=60, what="the recall"
    )
    assert len(recalled) == len(stack.jobs())
    kept = stored(stack, printed_after(stack.output, "Demo tenant"))
    assert [secret for secret in SECRETS if secret in kept] == []


def test_a_sync_under_way_brings_nothing_back(stack: Stack) -> None:
    user = connected(stack, "sync@acme.test")
    slow = {"match": {"path": "/google/calendar"}, "action": {"delay_ms": 4000}}
    stack.sandbox.post("/control/faults", json=slow).raise_for_status()
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    erasure_id = erase(stack, user)
    assert certificate(stack, erasure_id, is_finished)["deleted"]["calendar_event"] == 1
    stack.sandbox.delete("/control/faults").raise_for_status()
    tenant_id = printed_after(stack.output, "Demo tenant")
    eventually(lambda: asyncio.run(has_ended(stack, tenant_id, user)), seconds=60, what="the end of the sync")
    kept = stored(stack, tenant_id)
    assert [secret for secret in SECRETS if secret in kept] == []


def test_while_the_provider_is_down_only_the_revocation_waits(stack: Stack) -> None:
    user = connected(stack, "down@acme.test")
    down = {"match": {"path": "/google"}, "action": {"status": 503}}
    stack.sandbox.post("/control/faults", json=down).raise_for_status()
    erasure_id = erase(stack, user)
    waiting = certificate(stack, erasure_id, lambda document: bool(document["deleted"]))
    assert (waiting["state"], waiting["revocation"]) == ("running", "pending")
    stack.sandbox.delete("/control/faults").raise_for_status()
    assert certificate(stack, erasure_id, is_finished)["revocation"] == "revoked"


def test_what_temporal_keeps_of_it_names_nobody(stack: Stack) -> None:
    kept = asyncio.run(histories(stack.environment["TEMPORAL_ADDRESS"]))
    assert "erasure of cu_" in kept
    assert [secret for secret in SECRETS if secret in kept] == []


def test_an_operator_erases_a_tenant_by_the_command_line(stack: Stack, tmp_path: Path) -> None:
    code, created = meetbot(stack, "tenants", "create", "Acme", "--json")
    assert code == 0, created
    tenant = json.loads(created)
    stack.api.headers["Authorization"], demo = f"Bearer {tenant['api_key']}", stack.api.headers["Authorization"]
    try:
        connected(stack, "zoe@acme.test")
        assert meetbot(stack, "tenants", "erase", tenant["tenant_id"])[0] == 2
        code, said = meetbot(stack, "tenants", "erase", tenant["tenant_id"], "--yes", "--json")
        assert code == 0, said
        assert json.loads(said)["deleted"]["tenant"] == 1
        assert stack.api.get("/v1/bots").status_code == 401
    finally:
        stack.api.headers["Authorization"] = demo
    assert stored(stack, tenant["tenant_id"]) == ""
    ledger = tmp_path / "ledger.jsonl"
    assert meetbot(stack, "erasures", "export", str(ledger))[0] == 0
    assert tenant["tenant_id"] in ledger.read_text()
    code, said = meetbot(stack, "erasures", "replay", str(ledger), "--yes")
    assert (code, "erased 0 calendar users and 0 tenants again" in said) == (0, True), said
