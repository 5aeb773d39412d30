"""What surrounds every activity: error codes when it fails, heartbeats while it runs.

An error leaves as a stable code. A provider's words, a URL or an address must not reach a workflow's history.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from meetbot.errors import BackendUnavailable, MeetbotError, RetryLater

# Two heartbeats in a row may be late or lost.
_HEARTBEATS_PER_TIMEOUT = 3
_log = structlog.get_logger(__name__)


class ErrorCodes(Interceptor):
    """Turn every error of an activity into a code."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of one activity, as temporalio asks for it."""
        return _ErrorCodes(next)


class _ErrorCodes(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except (ApplicationError, CancelledError):
            raise
        except Exception as error:
            failure = application_error(error)
            _log.warning(
                "activity.failed",
                activity=activity.info().activity_type,
                workflow_id=activity.info().workflow_id,
                attempt=activity.info().attempt,
                code=failure.type,
            )
            raise failure from None


def application_error(error: BaseException) -> ApplicationError:
    """Return the failure as Temporal stores it: a code and nothing else.

    If the error names a time to wait, the next retry waits that long.
    """
    code = error.code if isinstance(error, MeetbotError) else type(error).__name__
    delay = error.retry_after if isinstance(error, RetryLater | BackendUnavailable) else None
    return ApplicationError(code, type=code, next_retry_delay=delay)


class Heartbeats(Interceptor):
    """Send heartbeats for every activity with a heartbeat timeout.

    So a dead worker is noticed within seconds. The activities themselves block in threads and need not know.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Return the interceptor of one activity, as temporalio asks for it."""
        return _Heartbeats(next)


class _Heartbeats(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        heartbeat_timeout = self._outbound.info().heartbeat_timeout
        if not heartbeat_timeout:
            return await super().execute_activity(input)
        sending = asyncio.create_task(self._send(heartbeat_timeout / _HEARTBEATS_PER_TIMEOUT))
        try:
            return await super().execute_activity(input)
        finally:
            sending.cancel()

    async def _send(self, period: timedelta) -> None:
        while True:
            await asyncio.sleep(period.total_seconds())
            self._outbound.heartbeat()
