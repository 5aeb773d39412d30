"""Every secret goes through the whole service; then every byte it left is searched for them.

Searched are the database with its log, Temporal, OpenBao with its audit log, our logs and metrics, webhooks and backend calls.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import httpx
import pytest

from meetbot.dev.environment import SANDBOX_CLIENT_SECRET
from tests.e2e.stack import Stack, eventually, running_stack
from tests.unit.webhooks.receiver import Received, Receiver, Reply, running_receiver

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

BACKEND_KEY = "canary-of-the-backend-api-key-5f1d8c"
BACKEND_SECRET = "canary-of-the-backend-webhook-secret-93ab07"
PROVIDERS_WORDS = "canary-in-the-words-of-the-provider"
PERSONAL = {
    "address": "canary-address@acme.test",
    "title": "canary-title",
    "link": "9998887776",
    "pwd": "pwd=canary",
    "calendar": "canary-calendar",
}
RECORD_ALL = {"rules": [{"name": "all", "action": "record", "when": {"attendee_count": {"gte": 0}}}]}
ENCODED_LEAST = 12


def spellings(secret: str) -> set[bytes]:
    """Return the secret in clear, percent-encoded, as hex, and as base64 at any offset."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * offset + raw).rstrip(b"=")
            # The characters at both ends hold bits of what stands beside the secret.
            inner = coded[(offset * 8 + 5) // 6 : -1]
            if len(inner) >= ENCODED_LEAST:
                found.add(inner)
    return found


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_the_search_knows_a_secret_in_any_spelling(before: str, after: str) -> None:
    secret = "1//0canary+secret/with=signs"
    text = (before + secret + after).encode()
    coded = (text, base64.b64encode(text), base64.urlsafe_b64encode(text), text.hex().encode())
    for seen in (*coded, quote(text.decode(), safe="").encode()):
        assert any(spelling in seen for spelling in spellings(secret))


@dataclass(frozen=True)
class Scene:
    """A stack that everything has gone through, and the secrets that did."""

    user: str
    secrets: Mapping[str, str]
    places: Mapping[str, bytes]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    state = tmp_path_factory.mktemp("canaries") / "state"
    with running_receiver() as customer, running_receiver() as backend:
        backend.replies = [Reply(201, {"content-type": "application/json"}, b'{"id":"job_1","status":"queued"}')]
        with running_stack(
            state,
            MEETBOT_BACKEND_URL=f"http://127.0.0.1:{backend.port}",
            MEETBOT_BACKEND_API_KEY=BACKEND_KEY,
            MEETBOT_BACKEND_WEBHOOK_SECRET=BACKEND_SECRET,
            MEETBOT_OPS_PORT=str(_two_ports()),
        ) as stack:
            user, secrets = _played(stack, customer, backend)
            metrics = _metrics(stack)
    # Only a database that was shut down has written out all that it was told.
    calls = {"webhooks": customer.received, "backend calls": backend.received}
    sent = {place: b"".join(map(_as_sent, requests)) for place, requests in calls.items()}
    return Scene(user, secrets, {**_files(state), **sent, "metrics": metrics})


def _two_ports() -> int:
    """Return a free port whose next one is free too: the worker's metrics follow the API's.

    Not from `free_port`, which keeps a port for this process.
    """
    for first in range(20_000, 30_000, 2):
        with socket.socket() as one, socket.socket() as two, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", first))
            two.bind(("127.0.0.1", first + 1))
            return first
    raise AssertionError("no two free ports side by side")


def _played(stack: Stack, customer: Receiver, backend: Receiver) -> tuple[str, dict[str, str]]:
    """Send every secret through everything; return a calendar user's id and the secrets by name."""
    stack.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
    hook = {"url": f"http://127.0.0.1:{customer.port}/hook", "event_types": ["*"]}
    endpoint = stack.api.post("/v1/webhook-endpoints", json=hook, headers={"Idempotency-Key": "canary-endpoint"})
    assert endpoint.status_code == 201, endpoint.text
    rotated = stack.api.post(f"/v1/webhook-endpoints/{endpoint.json()['id']}/rotate-secret").json()
    of_browsers: dict[str, str] = {}
    for provider in ("google", "microsoft"):
        address = PERSONAL["address"] if provider == "google" else "canary-guest@acme.test"
        stack.sandbox.post("/control/accounts", json={"email": address, "provider": provider}).raise_for_status()
        calendar = {"name": PERSONAL["calendar"]}
        stack.sandbox.post(f"/control/accounts/{address}/calendars", json=calendar).raise_for_status()
        of_browsers |= _consent(stack, provider, address)
    users = [user["id"] for user in stack.api.get("/v1/calendar/users").json()["data"]]
    for user in users:
        assert stack.api.put(f"/v1/calendar/users/{user}/rules", json=RECORD_ALL).status_code == 200
    link = f"https://zoom.us/j/{PERSONAL['link']}?{PERSONAL['pwd']}"
    event = {"title": PERSONAL["title"], "starts_in_minutes": 110 / 60, "meeting_url": link}
    stack.put_event(PERSONAL["address"], **event)
    for user in users:
        stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
        checks = stack.api.get(f"/v1/calendar/users/{user}/check").raise_for_status().json()["data"]
        assert {one["check"]: one["ok"] for one in checks}["scheduler"] is True, checks
    eventually(lambda: backend.received, seconds=120, what="a call of the backend")
    eventually(lambda: _told(customer, b'"bot.dispatched"'), seconds=60, what="the webhook of the bot")
    _fail_a_sync(stack, users[0])
    secrets = {
        "API key": stack.api.headers["Authorization"].removeprefix("Bearer "),
        "client secret": SANDBOX_CLIENT_SECRET,
        "webhook secret": endpoint.json()["secret"],
        "rotated webhook secret": rotated["secret"],
        "backend's API key": BACKEND_KEY,
        "backend's webhook secret": BACKEND_SECRET,
        "provider's words": PROVIDERS_WORDS,
        **of_browsers,
        **_tokens(stack.state),
    }
    return users[0], secrets


def _consent(stack: Stack, provider: str, address: str) -> dict[str, str]:
    """Connect as a browser does; return what it was given on the way."""
    stack.sandbox.post("/control/consent", json={"mode": "auto"}).raise_for_status()
    body = {"customer_user_id": f"customer-{provider}", "login_hint": address}
    link = stack.api.post(f"/v1/calendar/connect/{provider}", json=body).json()["authorization_url"]
    seen = {f"{provider} ticket": link.rsplit("/", 1)[1].rpartition(".")[2]}
    with httpx.Client(trust_env=False, timeout=30) as browser:
        answer = browser.get(link)
        while answer.is_redirect:
            address = urljoin(str(answer.url), answer.headers["location"])
            query = parse_qs(urlsplit(address).query)
            if "code" in query:
                seen[f"{provider} authorization code"] = query["code"][0]
                seen[f"{provider} state"] = query["state"][0].rpartition(".")[2]
                seen |= {f"{provider} cookie": value for value in browser.cookies.values()}
            answer = browser.get(address)
    assert answer.status_code == 200, answer.text
    assert f"{provider} authorization code" in seen
    return seen


def _fail_a_sync(stack: Stack, user: str) -> None:
    """Have the provider refuse, with words that nobody may repeat."""
    words = {"error": {"code": 400, "message": PROVIDERS_WORDS, "errors": [{"reason": PROVIDERS_WORDS}]}}
    for path in ("/google/calendar", "/microsoft/v1.0"):
        rule = {"match": {"path": path}, "action": {"status": 400, "body": words}}
        stack.sandbox.post("/control/faults", json=rule).raise_for_status()
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    eventually(lambda: stack.api.get(f"/v1/calendar/users/{user}").json()["error_code"], seconds=60, what="an error")


def _tokens(state: Path) -> dict[str, str]:
    """Every token that the sandbox gave out, and those of the vault's principals."""
    given = json.loads((state / "sandbox.json").read_text())
    running = json.loads((state / "dev.json").read_text())
    named = [("refresh token", token) for token in given["refresh_tokens"]]
    named += [("access token", token) for token in given["access_tokens"]]
    named += list(running["vault_tokens"].items())
    named.append(("root token", json.loads((state / "openbao" / "root.json").read_text())["root_token"]))
    return {f"{name} {number}": token for number, (name, token) in enumerate(named)}


def _told(customer: Receiver, event_type: bytes) -> bool:
    return any(event_type in hit.body for hit in customer.received)


def _metrics(stack: Stack) -> bytes:
    first = int(stack.environment["MEETBOT_OPS_PORT"])
    addresses = [f"http://127.0.0.1:{port}/metrics" for port in (first, first + 1)]
    return b"".join(httpx.get(address, trust_env=False).content for address in addresses)


def _files(state: Path) -> dict[str, bytes]:
    audit_log = state / "logs" / "openbao-audit.log"
    return {
        "database": _contents(state / "postgres"),
        "write-ahead log": b"".join(_contents(path) for path in (state / "postgres").rglob("pg_wal")),
        "Temporal": _contents(state / "temporal"),
        "OpenBao": _contents(state / "openbao" / "data"),
        "audit log": audit_log.read_bytes(),
        "logs": b"".join(path.read_bytes() for path in (state / "logs").rglob("*.log") if path != audit_log),
    }


def _as_sent(request: Received) -> bytes:
    return json.dumps([request.path, request.headers]).encode() + request.body


def _contents(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


ALLOWED = {("backend calls", "backend's API key")}
WITHOUT_PERSONAL_DATA = ("Temporal", "OpenBao", "audit log", "logs", "metrics")


def test_the_search_would_find_what_is_there(scene: Scene) -> None:
    for place in ("database", "write-ahead log", "Temporal", "webhooks"):
        assert scene.user.encode() in scene.places[place], place
    assert PERSONAL["title"].encode() in scene.places["database"]
    assert PERSONAL["calendar"].encode() in scene.places["database"]
    assert b"meetbot/decrypt/tenant-" in scene.places["audit log"]
    assert b"worker.ready" in scene.places["logs"]
    assert scene.places["metrics"].count(b"python_info{") == 2
    assert BACKEND_KEY.encode() in scene.places["backend calls"]
    assert scene.places["OpenBao"]
    kinds = {name.rstrip(" 0123456789") for name in scene.secrets}
    assert {"refresh token", "access token", "google authorization code", "microsoft cookie"} <= kinds


def test_no_secret_is_anywhere_that_it_need_not_be(scene: Scene) -> None:
    found = {
        (place, name)
        for name, secret in scene.secrets.items()
        for spelling in spellings(secret)
        for place, content in scene.places.items()
        if spelling in content
    }
    assert found - ALLOWED == set()


def test_no_personal_data_is_outside_the_database_and_the_customers_own_webhooks(scene: Scene) -> None:
    found = {
        (place, name)
        for name, text in PERSONAL.items()
        for spelling in spellings(text)
        for place in WITHOUT_PERSONAL_DATA
        if spelling in scene.places[place]
    }
    assert found == set()
