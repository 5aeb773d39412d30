"""What a new user does: start, connect, create a meeting and watch its bot.

The commands are the README's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from meetbot.webhooks.signing import verify_meetbot_signature
from tests.e2e.stack import Stack, eventually, running_stack
from tests.unit.webhooks.receiver import Receiver, running_receiver

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

THREE_SENTENCES = {
    "rules": [
        {
            "name": "no 1:1s with my manager",
            "action": "skip",
            "when": {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]},
        },
        {"name": "customers", "action": "record", "when": {"attendee_domains": {"any_of": ["customer.com"]}}},
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("newcomer") / "state") as started:
        started.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
        started.sandbox.post(
            "/control/backend/pace",
            json=dict.fromkeys(started.sandbox.get("/control/backend/pace").json(), 1),
        ).raise_for_status()
        yield started


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with running_receiver() as started:
        yield started


def account(stack: Stack, email: str, provider: str = "google") -> str:
    stack.sandbox.post("/control/accounts", json={"email": email, "provider": provider}).raise_for_status()
    return email


def the_event(stack: Stack, user: str, title: str) -> dict[str, Any] | None:
    listing = stack.api.get(f"/v1/calendar/users/{user}/events").json()
    return next((event for event in listing["data"] if event["title"] == title), None)


def test_a_meeting_gets_one_bot_on_time_and_the_tenant_is_notified(stack: Stack, receiver: Receiver) -> None:
    endpoint = stack.api.post(
        "/v1/webhook-endpoints", json={"url": f"http://127.0.0.1:{receiver.port}/hook", "event_types": ["*"]}
    )
    assert endpoint.status_code == 201, endpoint.text
    ada, grace = account(stack, "ada@acme.test"), account(stack, "grace@acme.test", "microsoft")
    users = [stack.connect(ada), stack.connect(grace, "microsoft")]
    for user in users:
        assert stack.api.put(f"/v1/calendar/users/{user}/rules", json=THREE_SENTENCES).status_code == 200

    event = stack.put_event(ada, title="Kick-off", starts_in_minutes=110 / 60, attendees=[grace])
    for user in users:
        stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    job = eventually(lambda: next(iter(stack.jobs()), None), seconds=90, what="a bot at the backend")
    asked_at = datetime.fromisoformat(job["joinAt"])
    due = datetime.fromisoformat(event["start"]) - timedelta(seconds=90)
    assert due <= asked_at

    finalized = eventually(
        lambda: next((hit for hit in receiver.received if b'"job.finalized"' in hit.body), None),
        seconds=60,
        what="the signed webhook",
    )
    secret = endpoint.json()["secret"]
    assert verify_meetbot_signature(secret, finalized.body, finalized.headers["x-meetbot-signature"])
    Webhook(secret).verify(finalized.body, finalized.headers)
    assert sorted(json.loads(finalized.body)["data"]["meetbot_calendar_user_ids"]) == sorted(users)
    assert len(stack.jobs()) == 1

    for user in users:
        seen = the_event(stack, user, "Kick-off")
        assert seen is not None
        assert (seen["decision"]["outcome"], seen["decision"]["rule"]) == ("record", "internal meetings")
        bot = stack.api.get(f"/v1/bots/{seen['bot_id']}").json()
        assert bot["state"] == "completed"
        assert sorted(bot["claims"]) == sorted(users)


def test_a_one_to_one_with_the_manager_is_skipped_and_says_why(stack: Stack) -> None:
    bob, boss = account(stack, "bob@acme.test"), "boss@acme.test"
    user = stack.connect(bob)
    changed = stack.api.patch(f"/v1/calendar/users/{user}", json={"attributes": {"manager_email": boss}})
    assert changed.status_code == 200, changed.text
    assert stack.api.put(f"/v1/calendar/users/{user}/rules", json=THREE_SENTENCES).status_code == 200
    stack.put_event(bob, title="1:1", starts_in_minutes=600, attendees=[boss])
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()

    def decided() -> dict[str, Any] | None:
        # A sync that was under way when the rules were put knows only the earlier ones; they are applied right after it.
        event = the_event(stack, user, "1:1")
        return event if event and event["decision"]["rule"] == "no 1:1s with my manager" else None

    event = eventually(decided, seconds=90, what="the event, decided by the new rules")
    assert event["decision"]["outcome"] == "skip"
    assert event["decision"]["reason"] == "rule_matched"


def test_a_restarted_stack_still_has_its_calendars_and_their_tokens(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running_stack(state) as first:
        first.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
        user = first.connect(account(first, "ada@acme.test"))
        eventually(
            lambda: first.api.get(f"/v1/calendar/users/{user}").json()["last_synced_at"], seconds=90, what="a sync"
        )
        key = first.api.headers["Authorization"]
    with running_stack(state) as second:
        assert second.api.headers["Authorization"] == key
        second.put_event("ada@acme.test", title="After the restart", starts_in_minutes=60)
        second.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
        assert eventually(
            lambda: the_event(second, user, "After the restart"), seconds=90, what="an event synced with the kept token"
        )


def test_tokens_and_personal_data_stay_out_of_logs_and_temporal(stack: Stack) -> None:
    """Put markers into personal data, then search every file of Temporal, logs and database.

    The markers are in titles, addresses and links.
    """
    eve = account(stack, "canary-address@acme.test")
    user = stack.connect(eve, customer_user_id="canary-customer")
    assert stack.api.put(f"/v1/calendar/users/{user}/rules", json=THREE_SENTENCES).status_code == 200
    stack.put_event(
        eve, title="canary-title", starts_in_minutes=600, meeting_url="https://zoom.us/j/9998887776?pwd=canary"
    )
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    event = eventually(lambda: the_event(stack, user, "canary-title"), seconds=60, what="the event")
    eventually(lambda: the_event(stack, user, "canary-title")["bot_id"], seconds=60, what="its bot")  # type: ignore[index]
    stack.sandbox.post("/control/faults", json={"match": {"path": "/google/calendar"}, "action": {"status": 500}})
    stack.api.post(f"/v1/calendar/users/{user}/sync").raise_for_status()
    eventually(
        lambda: stack.api.get(f"/v1/calendar/users/{user}").json()["error_code"], seconds=60, what="a failing sync"
    )
    stack.sandbox.delete("/control/faults").raise_for_status()

    personal = [b"canary-address", b"canary-title", b"canary-customer", b"9998887776", b"pwd=canary"]
    tokens = [token.encode() for token in refresh_tokens(stack.state)]
    assert tokens
    temporal, logs = contents(stack.state / "temporal"), contents(stack.state / "logs")
    database = contents(stack.state / "postgres")
    # The scan would find something if it were there.
    assert event["id"].encode() in database
    assert user.encode() in temporal
    assert b"canary-title" in database
    assert [canary for canary in (*personal, *tokens) if canary in temporal] == []
    assert [canary for canary in (*personal, *tokens) if canary in logs] == []
    assert [token for token in tokens if token in database] == []


def refresh_tokens(state: Path) -> list[str]:
    """Every token the sandbox ever gave out, refresh and access."""
    document = json.loads((state / "sandbox.json").read_text())
    return [*document["refresh_tokens"], *document["access_tokens"]]


def contents(directory: Path) -> bytes:
    return b"".join(_bytes_of(path) for path in sorted(directory.rglob("*")))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""  # a running server removes files of its own
