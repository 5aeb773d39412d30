"""The tables: columns only; behaviour is in the modules that use them.

Every tenant-owned table leads its primary key with ``tenant_id`` and is under row level security
(`meetbot.storage.database` sets the tenant for each transaction). Instants are ``timestamptz`` in UTC.

``change_xid`` is the id of the transaction that last changed a row in a way a customer can see. Watermarks compare
against it: a transaction that was still running when a watermark was taken has a higher id, so no change is skipped.
"""

from __future__ import annotations

from meetbot.storage.tables.administrators import AdminConsent, DirectoryApproval, WaitingUser
from meetbot.storage.tables.audit import AuditChain, AuditEntry, SecretUse
from meetbot.storage.tables.bots import BackendReport, Bot, BotClaim, BotTransition, Dispatch, LaunchHold, Meeting
from meetbot.storage.tables.calendars import (
    CalendarEvent,
    CalendarUser,
    ConnectAttempt,
    EventHistory,
    RecordingOverride,
    RuleSet,
    StoredCalendar,
    SyncRun,
)
from meetbot.storage.tables.erasures import Erasure, ErasureLedger, PendingRevocation
from meetbot.storage.tables.oauth_apps import OAuthApp
from meetbot.storage.tables.push import PushChannel
from meetbot.storage.tables.tenants import (
    ApiKey,
    ApiRequest,
    ConsoleSession,
    IdempotencyRecord,
    RateBucket,
    RetentionRun,
    Tenant,
)
from meetbot.storage.tables.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "AdminConsent",
    "ApiKey",
    "ApiRequest",
    "AuditChain",
    "AuditEntry",
    "BackendReport",
    "Bot",
    "BotClaim",
    "BotTransition",
    "CalendarEvent",
    "CalendarUser",
    "ConnectAttempt",
    "ConsoleSession",
    "DirectoryApproval",
    "Dispatch",
    "Erasure",
    "ErasureLedger",
    "EventHistory",
    "IdempotencyRecord",
    "LaunchHold",
    "Meeting",
    "OAuthApp",
    "PendingRevocation",
    "PushChannel",
    "RateBucket",
    "RecordingOverride",
    "RetentionRun",
    "RuleSet",
    "SecretUse",
    "StoredCalendar",
    "SyncRun",
    "Tenant",
    "WaitingUser",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
