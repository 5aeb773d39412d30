"""The front on a real OpenBao that stands still: it takes connections and answers nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing

import pytest

from meetbot.vault.client import TokenAuth, Vault
from meetbot.vault.guarded import GuardedSealer
from meetbot.vault.sealing import DataKey
from tests.api.conftest import Tenant
from tests.api.consent_flow import begin, come_back, to_provider, told
from tests.stack import OwnVault

pytestmark = pytest.mark.stack

FAILURES_TO_OPEN = 5


class Counted:
    """A vault that counts how often it is really asked for a key."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.calls = 0

    def new_data_key(self, tenant_id: str) -> DataKey:
        self.calls += 1
        return self._vault.new_data_key(tenant_id)

    def check(self) -> None:
        self._vault.check()


@dataclasses.dataclass
class Guarded:
    """The counted vault of a front with a breaker, whose clock the test moves."""

    counted: Counted
    now: list[float]


@pytest.fixture
def guarded(own_vault: OwnVault, tenant: Tenant) -> Iterator[Guarded]:
    tokens, address = own_vault.service.tokens, own_vault.service.address
    with closing(Vault(address, TokenAuth(tokens.provisioner_token))) as provisioner:
        provisioner.create_tenant_key(tenant.id)
    with closing(Vault(address, TokenAuth(tokens.api_token))) as vault:
        guarded = Guarded(Counted(vault), [0.0])
        sealer = GuardedSealer(guarded.counted, clock=lambda: guarded.now[0])
        front = tenant.front
        front.app.state.services = dataclasses.replace(front.services, vault=sealer)
        yield guarded


def test_routes_that_need_a_key_answer_at_once_after_a_few_tries(
    own_vault: OwnVault, guarded: Guarded, tenant: Tenant
) -> None:
    with own_vault.frozen():
        answers = [tenant.post("/webhook-endpoints", json={"url": "https://127.0.0.1:9/hook"}) for _ in range(12)]
        others = [tenant.get(path) for path in ("/calendar/users", "/webhook-endpoints", "/bots")]
        health = tenant.front.client.get("/healthz")
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert {answer.json()["code"] for answer in answers} == {"vault_unavailable"}
    assert guarded.counted.calls == FAILURES_TO_OPEN
    assert [answer.status_code for answer in (*others, health)] == [200] * 4
    guarded.now[0] = 5.0
    assert tenant.post("/webhook-endpoints", json={"url": "https://127.0.0.1:9/hook"}).status_code == 201


def test_no_consent_code_is_lost(own_vault: OwnVault, guarded: Guarded, tenant: Tenant) -> None:
    front = tenant.front
    returned = front.google.consent(to_provider(front.client, begin(tenant)))
    with own_vault.frozen():
        page = come_back(front.client, returned)
        # The link can be opened and followed meanwhile, for nothing is sealed before the end.
        assert to_provider(front.client, begin(tenant)).startswith("https://accounts.google.com/")
    assert (page.status_code, front.google.exchanges) == (503, 0)
    assert 'http-equiv="refresh"' in page.text or page.headers.get("refresh")
    assert told(come_back(front.client, returned))["status"] == "connected"
    assert (front.google.exchanges, guarded.counted.calls) == (1, 2)
