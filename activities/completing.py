"""Tell workflows what their activities came to, from outside of the activities."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from meetbot.temporal.messages import DispatchResult

_RPC_TIMEOUT = timedelta(seconds=5)
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.5
# More would only wait in Temporal, and in front of what bots need.
_AT_ONCE = 8
_log = structlog.get_logger(__name__)


class ActivityCompleter:
    """Completes activities by their tokens, some at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def complete(self, task_token: bytes, outcome: DispatchResult | ApplicationError) -> None:
        """Complete the activity, or fail it.

        One that nobody waits for any more is no error. One that Temporal cannot be told of is tried again by its workflow.
        """
        for attempt in range(_TRIES):
            try:
                async with self._gate:
                    await self._tell(task_token, outcome)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
                _log.warning("launcher.not_told", code=error.status.name, attempt=attempt + 1)
                await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
            else:
                return

    async def _tell(self, task_token: bytes, outcome: DispatchResult | ApplicationError) -> None:
        handle = self._client.get_async_activity_handle(task_token=task_token)
        if isinstance(outcome, ApplicationError):
            await handle.fail(outcome, rpc_timeout=_RPC_TIMEOUT)
        else:
            await handle.complete(outcome, rpc_timeout=_RPC_TIMEOUT)
