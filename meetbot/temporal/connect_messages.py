"""The messages of the workflows about tenants' own OAuth apps.

As in `meetbot.temporal.messages`: opaque ids and codes only, and field additions need defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

from meetbot.temporal.messages import CHILDREN_PER_BATCH


def connect_workflow_id(tenant_id: str, exchange_id: str) -> str:
    """Return the workflow id of the exchange of a consent's code."""
    return f"connect/{tenant_id}/{exchange_id}"


def oauth_app_check_workflow_id(tenant_id: str, app_id: str) -> str:
    """Return the workflow id of a check of a tenant's OAuth app: one at a time."""
    return f"oauth-app-check/{tenant_id}/{app_id}"


@dataclass(frozen=True, slots=True)
class ConnectStart:
    """Input of the workflow that exchanges a consent's code.

    The numbers are for the workflow of the calendar user that it connects.
    """

    tenant_id: str
    exchange_id: str
    provider: str
    interval_seconds: int
    children_per_batch: int = CHILDREN_PER_BATCH


@dataclass(frozen=True, slots=True)
class ExchangeRef:
    """A code to be exchanged, as the activity is asked for it."""

    tenant_id: str
    exchange_id: str


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The calendar user that was connected; empty if the consent came to nothing."""

    calendar_user_id: str = ""


@dataclass(frozen=True, slots=True)
class OAuthAppRef:
    """A tenant's OAuth app, for the workflow that checks it and its activity."""

    tenant_id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The code with which the token endpoint refused a code that cannot be good."""

    code: str
