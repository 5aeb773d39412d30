"""Graph's subscriptions, by Microsoft's own SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from kiota_abstractions.api_error import APIError
from msgraph.generated.models.subscription import Subscription
from msgraph.graph_service_client import GraphServiceClient

from tests.sandbox.driver import Driver
from tests.sandbox.push_receiver import Receiver, receiving
from tests.sandbox.test_microsoft_sdk import _client

# Its generated modules, imported when first touched, warn about their own classes.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GRACE = "grace@acme.test"
NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
Answer = TypeVar("Answer")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def token(sandbox: Driver) -> str:
    return str(sandbox.connect("microsoft", GRACE)["access_token"])


def asked(receiver: Receiver, **changes: Any) -> Subscription:
    fields: dict[str, Any] = {
        "change_type": "created,updated,deleted",
        "notification_url": f"{receiver.url}/changes",
        "lifecycle_notification_url": f"{receiver.url}/lifecycle",
        "resource": "me/events",
        "expiration_date_time": NOW + timedelta(minutes=10_000),
        "client_state": "psh_1.secret",
    }
    return Subscription(**(fields | changes))


def by_sdk(sandbox: Driver, token: str, call: Callable[[GraphServiceClient], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with _client(sandbox, token) as client:
            return await call(client)

    return asyncio.run(run())


def subscribe(sandbox: Driver, token: str, receiver: Receiver, **changes: Any) -> Subscription:
    made = by_sdk(sandbox, token, lambda client: client.subscriptions.post(asked(receiver, **changes)))
    assert made is not None
    return made


def refusal(sandbox: Driver, token: str, receiver: Receiver, **changes: Any) -> tuple[int, str]:
    with pytest.raises(APIError) as refused:
        subscribe(sandbox, token, receiver, **changes)
    error: Any = refused.value
    return error.response_status_code, error.error.code


def test_a_subscription_is_made_once_both_addresses_echo(sandbox: Driver, token: str, receiver: Receiver) -> None:
    made = subscribe(sandbox, token, receiver)
    assert (made.resource, made.client_state) == ("me/events", "psh_1.secret")
    assert made.expiration_date_time == NOW + timedelta(minutes=10_000)
    receiver.echoes = False
    assert refusal(sandbox, token, receiver, change_type="created") == (400, "ValidationError")


def test_changes_are_told_with_the_secret_and_an_id(sandbox: Driver, token: str, receiver: Receiver) -> None:
    made = subscribe(sandbox, token, receiver)
    event = sandbox.event(GRACE)
    receiver.wait_for(lambda found: len(found) == 1)
    sandbox.control("DELETE", f"/events/{event['key']}")
    receiver.wait_for(lambda found: len(found) == 2)
    items = receiver.items()
    assert [item["changeType"] for item in items] == ["created", "deleted"]
    assert {item["subscriptionId"] for item in items} == {made.id}
    assert {item["clientState"] for item in items} == {"psh_1.secret"}
    assert items[0]["resourceData"]["id"] == event["copies"][0]["immutable_id"]


def test_a_second_one_for_the_same_changes_is_a_conflict(sandbox: Driver, token: str, receiver: Receiver) -> None:
    subscribe(sandbox, token, receiver)
    assert refusal(sandbox, token, receiver)[0] == 409


def test_its_life_has_bounds(sandbox: Driver, token: str, receiver: Receiver) -> None:
    too_long = NOW + timedelta(minutes=10_081)
    assert refusal(sandbox, token, receiver, expiration_date_time=too_long) == (400, "InvalidRequest")
    made = subscribe(sandbox, token, receiver, expiration_date_time=NOW + timedelta(minutes=5))
    assert made.expiration_date_time == NOW + timedelta(minutes=45)


def test_it_is_renewed_listed_and_deleted(sandbox: Driver, token: str, receiver: Receiver) -> None:
    made = subscribe(sandbox, token, receiver, expiration_date_time=NOW + timedelta(hours=1))
    later = Subscription(expiration_date_time=NOW + timedelta(days=2))

    async def renew_and_list(client: GraphServiceClient) -> list[Any]:
        one = client.subscriptions.by_subscription_id(str(made.id))
        renewed, listed = await one.patch(later), await client.subscriptions.get()
        await one.delete()
        after = await client.subscriptions.get()
        assert renewed is not None
        assert listed is not None
        assert after is not None
        return [
            renewed.expiration_date_time,
            [(each.id, each.client_state) for each in listed.value or []],
            after.value,
        ]

    assert by_sdk(sandbox, token, renew_and_list) == [NOW + timedelta(days=2), [(made.id, None)], []]
    with pytest.raises(APIError) as gone:
        by_sdk(sandbox, token, lambda client: client.subscriptions.by_subscription_id(str(made.id)).patch(later))
    assert gone.value.response_status_code == 404


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_what_happens_to_it_is_told_at_the_other_address(
    sandbox: Driver, token: str, receiver: Receiver, event: str
) -> None:
    made = subscribe(sandbox, token, receiver)
    sandbox.control("POST", "/push/lifecycle", {"email": GRACE, "event": event})
    ((path, _, body),) = receiver.wait_for(lambda found: len(found) == 1)
    (item,) = body["value"]
    assert path == "lifecycle"
    assert (item["lifecycleEvent"], item["subscriptionId"], item["clientState"]) == (event, made.id, "psh_1.secret")


def test_a_calendar_of_its_own_has_a_subscription_of_its_own(sandbox: Driver, token: str, receiver: Receiver) -> None:
    calendar = sandbox.control("POST", f"/accounts/{GRACE}/calendars", {"name": "Side"})
    subscribe(sandbox, token, receiver, resource=f"me/calendars/{calendar['graph_id']}/events")
    sandbox.event(GRACE)
    sandbox.event(GRACE, calendar_id=calendar["id"])
    receiver.wait_for(lambda found: len(found) == 1)
    assert len(receiver.items()) == 1
