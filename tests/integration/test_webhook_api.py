"""The HTTP routes for webhook endpoints, on a real database and a real vault."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import update

from activities.webhooks import WebhookActivities
from api.app import create_app
from api.dependencies import ApiServices
from api.orchestrator import Orchestrator
from meetbot.dev.environment import free_port
from meetbot.settings import Region, Settings
from meetbot.storage import outbox
from meetbot.storage.database import Database, create_database
from meetbot.storage.tables import WebhookDelivery
from meetbot.temporal.messages import DeliveryAttempt, DeliveryVerdict
from meetbot.tenants.api_keys import KeyMode
from meetbot.tenants.create import create_tenant, issue_api_key
from meetbot.vault.client import TokenAuth, Vault
from meetbot.webhooks.outbound import Outbound
from meetbot.webhooks.signing import verify_meetbot_signature
from tests.serving import serving
from tests.stack import VaultService
from tests.unit.webhooks.receiver import running_receiver

pytestmark = pytest.mark.stack

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
PUBLIC = "https://example.com/hook"


@dataclass(slots=True)
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Front:
    client: httpx.Client
    database: Database
    clock: Clock
    vault_service: VaultService

    def tenant(self, *scopes: str) -> Customer:
        provisioner_token = self.vault_service.tokens.provisioner_token
        with closing(Vault(self.vault_service.address, TokenAuth(provisioner_token))) as provisioner:
            tenant_id, api_key = create_tenant(self.database, provisioner, "Acme", "eu")
        if scopes:
            api_key = issue_api_key(self.database, tenant_id, KeyMode.LIVE, scopes)
        return Customer(self, tenant_id, api_key)


@dataclass(frozen=True, slots=True)
class Customer:
    front: Front
    tenant_id: str
    api_key: str

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.api_key}", **{name.replace("_", "-"): v for name, v in headers.items()}}
        return self.front.client.request(method, f"/v1{path}", json=body, headers=sent)

    def created(self, url: str = PUBLIC, *event_types: str) -> Any:
        answer = self.ask("POST", "/webhook-endpoints", {"url": url, "event_types": list(event_types) or ["*"]})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def emit(self, event_type: str = "bot.joined", count: int = 1) -> None:
        with self.front.database.transaction(self.tenant_id) as session:
            outbox.emit_many(session, self.tenant_id, [outbox.Message(event_type, {"id": "bot_1"})] * count)

    def log(self, endpoint_id: str, query: str = "") -> Any:
        return self.ask("GET", f"/webhook-endpoints/{endpoint_id}/deliveries{query}").json()

    def settle(self, state: str) -> None:
        with self.front.database.transaction(self.tenant_id) as session:
            session.execute(update(WebhookDelivery).values(state=state))


@pytest.fixture
def front(fresh_database: str, vault_service: VaultService) -> Iterator[Front]:
    clock = Clock(datetime.now(UTC))
    with (
        closing(create_database(fresh_database)) as database,
        closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.api_token))) as vault,
    ):
        settings = Settings(outbound_allow_cidrs=LOOPBACK, rate_limit_per_minute=0)
        services = ApiServices(settings, database, vault, {}, {}, cast(Orchestrator, None), clock)
        with (
            serving(create_app(settings, services), free_port()) as url,
            httpx.Client(base_url=url, trust_env=False) as client,
        ):
            yield Front(client, database, clock, vault_service)


@pytest.fixture
def customer(front: Front) -> Customer:
    return front.tenant()


def test_the_secret_is_shown_once(customer: Customer) -> None:
    made = customer.created()

    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["event_types"], made["state"]) == (PUBLIC, ["*"], "enabled")
    read = customer.ask("GET", f"/webhook-endpoints/{made['id']}").json()
    assert read == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"] not in customer.ask("GET", "/webhook-endpoints").text


def test_an_endpoint_takes_every_event_type_by_default(customer: Customer) -> None:
    answer = customer.ask("POST", "/webhook-endpoints", {"url": PUBLIC})

    assert answer.json()["event_types"] == ["*"]


def test_the_database_holds_the_secret_only_sealed(front: Front, customer: Customer) -> None:
    made = customer.created()

    with front.database.transaction(customer.tenant_id) as session:
        row = session.connection().exec_driver_sql("select secrets::text from webhook_endpoint").scalar_one()
    assert made["secret"] not in row
    assert made["secret"].removeprefix("whsec_") not in row


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com@10.0.0.1/", "url_userinfo"),
        ("https://10.0.0.1/", "destination_not_allowed"),
        ("https://169.254.169.254/latest", "destination_not_allowed"),
        ("http://8.8.8.8/", "url_scheme"),
        ("https://8.8.8.8:25/", "url_port"),
        ("not a url", "url_malformed"),
    ],
)
def test_a_url_that_leads_inside_is_refused(customer: Customer, url: str, code: str) -> None:
    answer = customer.ask("POST", "/webhook-endpoints", {"url": url})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(fault["path"], fault["code"]) for fault in answer.json()["errors"]] == [("url", code)]


@pytest.mark.parametrize("event_types", [[], ["bot"], ["bot.join"], ["bots.*"], ["**"], [""], "bot.*", [None]])
def test_an_event_type_that_never_comes_is_refused(customer: Customer, event_types: object) -> None:
    answer = customer.ask("POST", "/webhook-endpoints", {"url": PUBLIC, "event_types": event_types})

    assert answer.status_code == 422


def test_the_same_idempotency_key_makes_one_endpoint_and_shows_the_same_secret(customer: Customer) -> None:
    first = customer.ask("POST", "/webhook-endpoints", {"url": PUBLIC}, Idempotency_Key="k1")
    second = customer.ask("POST", "/webhook-endpoints", {"url": PUBLIC}, Idempotency_Key="k1")

    assert first.json() == second.json()
    assert len(customer.ask("GET", "/webhook-endpoints").json()["data"]) == 1


def test_endpoints_are_listed_in_pages(customer: Customer) -> None:
    ids = [customer.created()["id"] for _ in range(5)]

    seen, path = [], "/webhook-endpoints?limit=2"
    for _ in range(3):
        page = customer.ask("GET", path).json()
        seen += [endpoint["id"] for endpoint in page["data"]]
        path = f"/webhook-endpoints?limit=2&cursor={page['next_cursor']}"
    assert seen == ids
    assert page["next_cursor"] is None


def test_a_change_touches_only_what_is_given(customer: Customer) -> None:
    made = customer.created(PUBLIC, "bot.*")

    changed = customer.ask("PATCH", f"/webhook-endpoints/{made['id']}", {"url": "https://example.org/"}).json()

    assert (changed["url"], changed["event_types"], changed["state"]) == ("https://example.org/", ["bot.*"], "enabled")


def test_an_endpoint_is_switched_off_and_on(customer: Customer) -> None:
    path = f"/webhook-endpoints/{customer.created()['id']}"

    off = customer.ask("PATCH", path, {"state": "disabled"}).json()
    customer.emit()
    on = customer.ask("PATCH", path, {"state": "enabled"}).json()

    assert (off["state"], off["disabled_reason"]) == ("disabled", "manual")
    assert (on["state"], on["disabled_reason"]) == ("enabled", None)
    assert customer.log(on["id"])["data"] == []


def test_a_change_to_an_inner_address_is_refused(customer: Customer) -> None:
    made = customer.created()

    answer = customer.ask("PATCH", f"/webhook-endpoints/{made['id']}", {"url": "https://192.168.0.1/"})

    assert answer.status_code == 422
    assert customer.ask("GET", f"/webhook-endpoints/{made['id']}").json()["url"] == PUBLIC


def test_a_deleted_endpoint_is_gone_with_its_log(customer: Customer) -> None:
    made = customer.created()
    customer.emit()
    delivery_id = customer.log(made["id"])["data"][0]["id"]

    assert customer.ask("DELETE", f"/webhook-endpoints/{made['id']}").status_code == 204
    assert customer.ask("DELETE", f"/webhook-endpoints/{made['id']}").status_code == 404
    assert customer.ask("GET", f"/webhook-endpoints/{made['id']}").status_code == 404
    assert customer.ask("GET", f"/webhook-deliveries/{delivery_id}").status_code == 404


def test_a_rotation_shows_the_new_secret_once_and_the_old_ones_end(front: Front, customer: Customer) -> None:
    made = customer.created()

    rotated = customer.ask("POST", f"/webhook-endpoints/{made['id']}/rotate-secret").json()

    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert datetime.fromisoformat(rotated["previous_valid_until"]) == front.clock.now + timedelta(hours=24)


def test_what_the_front_sealed_the_worker_signs_with(
    front: Front, customer: Customer, vault_service: VaultService
) -> None:
    with (
        running_receiver() as receiver,
        closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.worker_token))) as vault,
    ):
        made = customer.created(f"http://127.0.0.1:{receiver.port}/hook", "bot.joined")
        rotated = customer.ask("POST", f"/webhook-endpoints/{made['id']}/rotate-secret").json()
        ping = customer.ask("POST", f"/webhook-endpoints/{made['id']}/test")
        activities = WebhookActivities(front.database, vault, Region.EU, Outbound(LOOPBACK))

        result = activities.deliver(DeliveryAttempt(customer.tenant_id, ping.json()["id"], 1, last=False))

    request = receiver.received[0]
    assert ping.status_code == 202
    assert result.verdict is DeliveryVerdict.DELIVERED
    assert b'"event":"webhook.ping"' in request.body
    assert verify_meetbot_signature(rotated["secret"], request.body, request.headers["x-meetbot-signature"])
    assert len(request.headers["webhook-signature"].split()) == 2


def test_the_log_is_listed_newest_first_with_filters(customer: Customer) -> None:
    made = customer.created()
    customer.emit("bot.joined", 3)
    customer.settle("dead")
    customer.emit("bot.failed", 2)

    first = customer.log(made["id"], "?limit=2")
    second = customer.log(made["id"], f"?limit=2&cursor={first['next_cursor']}")

    assert [entry["event_type"] for entry in first["data"]] == ["bot.failed"] * 2
    assert [entry["event_type"] for entry in second["data"]] == ["bot.joined"] * 2
    assert len(customer.log(made["id"], "?state=dead")["data"]) == 3
    assert len(customer.log(made["id"], "?event_type=bot.failed")["data"]) == 2
    assert customer.log(made["id"], "?since=2100-01-01T00:00:00Z")["data"] == []
    assert customer.log(made["id"], "?until=2020-01-01T00:00:00Z")["data"] == []


def test_a_cursor_of_another_listing_is_refused(customer: Customer) -> None:
    made = customer.created()
    customer.emit("bot.joined", 3)
    cursor = customer.log(made["id"], "?limit=2")["next_cursor"]

    answer = customer.ask("GET", f"/webhook-endpoints/{made['id']}/deliveries?state=dead&cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_one_delivery_is_shown_with_its_data(customer: Customer) -> None:
    made = customer.created()
    customer.emit()
    entry = customer.log(made["id"])["data"][0]

    shown = customer.ask("GET", f"/webhook-deliveries/{entry['id']}").json()

    assert shown == {**entry, "data": {"id": "bot_1"}}


def test_a_dead_letter_is_replayed_and_a_pending_one_is_not(customer: Customer) -> None:
    made = customer.created()
    customer.emit()
    path = f"/webhook-deliveries/{customer.log(made['id'])['data'][0]['id']}/replay"

    pending = customer.ask("POST", path)
    customer.settle("dead")
    replayed = customer.ask("POST", path)

    assert (pending.status_code, pending.json()["code"]) == (409, "delivery_pending")
    assert replayed.status_code == 202
    assert (replayed.json()["state"], replayed.json()["replays"]) == ("pending", 1)


def test_dead_letters_are_replayed_together(customer: Customer) -> None:
    made = customer.created()
    customer.emit("bot.joined", 3)
    customer.settle("dead")
    path = f"/webhook-endpoints/{made['id']}/replay"

    assert customer.ask("POST", path, {"state": "delivered"}).json() == {"replayed": 0}
    assert customer.ask("POST", path, {"since": "2100-01-01T00:00:00Z"}).json() == {"replayed": 0}
    assert customer.ask("POST", path, {}).json() == {"replayed": 3}
    assert customer.ask("POST", path, {}).json() == {"replayed": 0}


@pytest.mark.parametrize("action", ["test", "replay"])
def test_a_disabled_endpoint_is_sent_nothing(customer: Customer, action: str) -> None:
    made = customer.created()
    customer.ask("PATCH", f"/webhook-endpoints/{made['id']}", {"state": "disabled"})

    answer = customer.ask("POST", f"/webhook-endpoints/{made['id']}/{action}", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "endpoint_disabled")


def test_a_tenant_has_twenty_endpoints_at_most(customer: Customer) -> None:
    for _ in range(20):
        customer.created()

    answer = customer.ask("POST", "/webhook-endpoints", {"url": PUBLIC})

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_endpoints")


ROUTES = [
    ("GET", "/webhook-endpoints/{endpoint}", None),
    ("PATCH", "/webhook-endpoints/{endpoint}", {"state": "disabled"}),
    ("DELETE", "/webhook-endpoints/{endpoint}", None),
    ("POST", "/webhook-endpoints/{endpoint}/rotate-secret", None),
    ("POST", "/webhook-endpoints/{endpoint}/test", None),
    ("POST", "/webhook-endpoints/{endpoint}/replay", {}),
    ("GET", "/webhook-endpoints/{endpoint}/deliveries", None),
    ("GET", "/webhook-deliveries/{delivery}", None),
    ("POST", "/webhook-deliveries/{delivery}/replay", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_tenants_things_are_not_there(
    front: Front, customer: Customer, method: str, path: str, body: object
) -> None:
    made = customer.created()
    customer.emit()
    delivery_id = customer.log(made["id"])["data"][0]["id"]
    before = customer.ask("GET", f"/webhook-endpoints/{made['id']}").json()

    answer = front.tenant().ask(method, path.format(endpoint=made["id"], delivery=delivery_id), body)

    assert answer.status_code == 404
    assert customer.ask("GET", f"/webhook-endpoints/{made['id']}").json() == before


@pytest.mark.parametrize(("method", "path", "body"), [*ROUTES, ("POST", "/webhook-endpoints", {"url": PUBLIC})])
def test_a_key_for_other_things_may_not(front: Front, method: str, path: str, body: object) -> None:
    answer = front.tenant("bots:write").ask(method, path.format(endpoint="whe_1", delivery="dlv_1"), body)

    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


def test_a_reading_key_changes_nothing(front: Front) -> None:
    reader = front.tenant("webhooks:read")

    assert reader.ask("GET", "/webhook-endpoints").status_code == 200
    assert reader.ask("POST", "/webhook-endpoints", {"url": PUBLIC}).status_code == 403
