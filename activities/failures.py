"""How errors leave an activity: as a stable code. A provider's words, a URL or an address must not reach a history."""

from __future__ import annotations

from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from meetbot.errors import BackendUnavailable, MeetbotError, RetryLater

_log = structlog.get_logger(__name__)


class FailureBoundary(Interceptor):
    """Wraps every activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Boundary(next)


class _Boundary(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except (ApplicationError, CancelledError):
            raise
        except Exception as error:
            failure = application_error(error)
            _log.warning(
                "activity failed",
                activity=activity.info().activity_type,
                workflow_id=activity.info().workflow_id,
                attempt=activity.info().attempt,
                code=failure.type,
            )
            raise failure from None


def application_error(error: BaseException) -> ApplicationError:
    """The failure as Temporal stores it: a code and nothing else. A stated wait becomes the next retry's delay."""
    code = error.code if isinstance(error, MeetbotError) else type(error).__name__
    delay = error.retry_after if isinstance(error, RetryLater | BackendUnavailable) else None
    return ApplicationError(code, type=code, next_retry_delay=delay)
