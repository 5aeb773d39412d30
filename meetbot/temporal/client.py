"""The connection to Temporal, the same for every process: converter, sandbox, attributes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from meetbot.errors import ConfigurationError
from meetbot.temporal.search_attributes import SEARCH_ATTRIBUTES

_RPC_TIMEOUT = timedelta(seconds=10)
# What workflow modules import besides the standard library and temporalio; anything else must fail at start-up.
_PASSED_THROUGH = ("meetbot.temporal", "meetbot.domain", "meetbot")


def _sandboxed(existing: WorkflowRunner | None) -> WorkflowRunner:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_PASSED_THROUGH)
    restrictions = dataclasses.replace(
        restrictions,
        import_notification_policy=SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH,
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)


def plugin() -> SimplePlugin:
    """Return the plugin of client, worker and replayer; what one writes the others can read."""
    return SimplePlugin("meetbot", data_converter=pydantic_data_converter, workflow_runner=_sandboxed)


async def connect(address: str | None) -> Client:
    """Connect to Temporal. An `address` overrides the one in the environment.

    The rest comes from Temporal's own profile variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS_…). Raises
    `ConfigurationError` (``temporal_not_configured``) without any address.
    """
    config = ClientConfig.load_client_connect_config()
    if address is not None:
        config["target_host"] = address
    if not config.get("target_host"):
        raise ConfigurationError(
            "temporal_not_configured", "TEMPORAL_ADDRESS is not set", next_step="set it, or start `meetbot dev`"
        )
    return await Client.connect(**config, plugins=[plugin()])


async def ensure_search_attributes(client: Client) -> None:
    """Register our search attributes if the namespace lacks them.

    Raises Temporal's ``RPCError`` if we may not.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    known = await client.operator_service.list_search_attributes(request, timeout=_RPC_TIMEOUT)
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes]
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            ),
            timeout=_RPC_TIMEOUT,
        )
