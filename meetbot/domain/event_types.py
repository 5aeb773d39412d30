"""The event types of webhooks, and the patterns by which an endpoint chooses among them."""

from __future__ import annotations

from enum import StrEnum

ANY_EVENT = "*"


class WebhookEventType(StrEnum):
    """What a webhook tells about.

    The ``job.…`` types pass on a bot backend's own report as it came.
    """

    ADMIN_CONSENT_GRANTED = "admin_consent.granted"
    CALENDAR_USER_AWAITING_ADMIN = "calendar_user.awaiting_admin"
    CALENDAR_USER_ADMIN_APPROVED = "calendar_user.admin_approved"
    CALENDAR_USER_CONNECTED = "calendar_user.connected"
    CALENDAR_USER_NEEDS_RECONNECT = "calendar_user.needs_reconnect"
    CALENDAR_USER_DISCONNECTED = "calendar_user.disconnected"
    CALENDAR_EVENTS_CHANGED = "calendar_events.changed"
    BOT_SCHEDULED = "bot.scheduled"
    BOT_RESCHEDULED = "bot.rescheduled"
    BOT_CANCELLED = "bot.cancelled"
    BOT_DISPATCHED = "bot.dispatched"
    BOT_JOINED = "bot.joined"
    BOT_COMPLETED = "bot.completed"
    BOT_FAILED = "bot.failed"
    BOT_LIMIT_REACHED = "bot.limit_reached"
    RECORDING_MISSED = "recording.missed"
    JOB_STATUS_CHANGED = "job.status_changed"
    JOB_FINALIZED = "job.finalized"
    JOB_FAILED = "job.failed"
    WEBHOOK_PING = "webhook.ping"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"


def matching_patterns(event_type: str) -> tuple[str, ...]:
    """Return what an endpoint may list to take this event.

    ``*``, a prefix such as ``bot.*``, or the type itself.
    """
    parts = event_type.split(".")
    prefixes = (".".join(parts[:count]) + ".*" for count in range(1, len(parts)))
    return (ANY_EVENT, *prefixes, event_type)


# In the order in which error messages and documentation list them.
KNOWN_PATTERNS: tuple[str, ...] = tuple(
    dict.fromkeys(pattern for event_type in WebhookEventType for pattern in matching_patterns(event_type))
)
