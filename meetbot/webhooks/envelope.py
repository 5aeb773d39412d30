"""The body of a webhook: meetbot's own envelope, version 2. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from meetbot.webhooks.signing import ENVELOPE_VERSION


def envelope(delivery_id: str, event_type: str, emitted_at: datetime, attempt: int, data: Mapping[str, Any]) -> bytes:
    """Return the exact bytes to sign and send.

    `attempt` counts from 1 and goes on through replays.
    """
    return orjson.dumps(
        {
            "deliveryId": delivery_id,
            "event": event_type,
            "emittedAt": emitted_at,
            "attempt": attempt,
            "version": ENVELOPE_VERSION,
            "data": data,
        },
        option=orjson.OPT_UTC_Z,
    )
