"""A worker that is killed when a provider has answered a refresh and nothing is stored.

    python -m tests.integration.killed_refresh TENANT CALENDAR_USER

The environment is a worker's.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from activities.wiring import open_parts
from meetbot.settings import load_settings
from meetbot.temporal.messages import SyncRequest


def _deadly(refresh: Callable[..., Any]) -> Callable[..., Any]:
    def refresh_and_die(*given: Any, **options: Any) -> Any:
        refresh(*given, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return refresh_and_die


def main(tenant_id: str, calendar_user_id: str) -> None:
    """Sync once, with logins that are deadly."""
    parts = open_parts(load_settings())
    for provider in parts.services.providers.values():
        provider.refresh = _deadly(provider.refresh)  # type: ignore[method-assign]
    parts.sync.sync(SyncRequest(tenant_id, calendar_user_id, ""))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
