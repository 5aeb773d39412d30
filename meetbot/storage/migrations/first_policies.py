"""Names of the first schema: a part of revision 0001, and as final as that.

No migration makes policies or grants: `meetbot.storage.grants` lists them.
"""

from __future__ import annotations

TENANT_TABLES = (
    "api_key",
    "backend_report",
    "bot",
    "bot_claim",
    "calendar_event",
    "calendar_user",
    "connect_attempt",
    "dispatch",
    "idempotency_record",
    "meeting",
    "rate_bucket",
    "recording_override",
    "rule_set",
    "webhook_delivery",
    "webhook_endpoint",
)

IS_LIVE_BOT = "state in ('scheduled','dispatching','dispatched','joining','in_call','recording','finalizing')"
