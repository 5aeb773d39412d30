"""Find out between two slow polls whether the provider still lets us read a calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

from activities.services import Services
from meetbot.domain.grant_checks import PROOF_LASTS, is_poll_due
from meetbot.errors import ProviderError, RetryLater, VaultError
from meetbot.storage.calendar_user_context import load_context
from meetbot.temporal.calendar_messages import WatchRequest


class GrantCheck:
    """Proves grants by refreshing, without a request to the calendar."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def needs_poll(self, request: WatchRequest, wanted_at: datetime | None = None) -> bool:
        """Return whether the calendar is to be polled now.

        Its slot has come, or its grant does not hold. ``wanted_at``: it is to have been polled since then. What the login
        refuses is found, noted and told by the poll. An outage waits for the next check.
        """
        with self._services.database.transaction(request.tenant_id) as session:
            user = load_context(session, request.tenant_id, request.calendar_user_id)
        interval = timedelta(seconds=request.wait_seconds or request.interval_seconds)
        if user is None or not user.is_connected:
            return True
        if is_poll_due(self._services.clock(), user.id, interval, user.last_synced_at, wanted_at=wanted_at):
            return True
        try:
            self._services.tokens.call(user, lambda _token: None, given_within=PROOF_LASTS)
        except (RetryLater, VaultError):
            return False
        except ProviderError:
            return True
        return False
