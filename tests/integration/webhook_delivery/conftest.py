"""The delivery of webhooks on real parts: PostgreSQL, OpenBao, a web server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from activities.webhooks import WebhookActivities
from meetbot.settings import Region
from meetbot.storage.database import create_database
from meetbot.vault.client import TokenAuth, Vault
from meetbot.webhooks.outbound import Outbound
from tests.integration.webhook_delivery.rig import LOOPBACK, Clock, DeliveryRig, unique_numbers
from tests.stack import VaultService
from tests.unit.webhooks.receiver import running_receiver


@pytest.fixture
def rig(fresh_database: str, vault_service: VaultService) -> Iterator[DeliveryRig]:
    tenant_id = f"tnt_hook{next(unique_numbers)}"
    with closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.provisioner_token))) as provisioner:
        provisioner.create_tenant_key(tenant_id)
    with (
        running_receiver() as receiver,
        closing(Vault(vault_service.address, TokenAuth(vault_service.tokens.worker_token))) as vault,
        closing(create_database(fresh_database)) as database,
    ):
        clock = Clock(datetime.now(UTC))
        activities = WebhookActivities(database, vault, Region.EU, Outbound(LOOPBACK), clock)
        yield DeliveryRig(database, vault, receiver, activities, clock, tenant_id)
