"""Heartbeats beside every activity that has a heartbeat timeout, so that its worker's death is noticed within seconds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

# Two may be late or lost.
_BEATS_PER_TIMEOUT = 3


class Heartbeats(Interceptor):
    """Wraps every activity of a worker. The activities themselves block in threads and know nothing of it."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        timeout = self._outbound.info().heartbeat_timeout
        if not timeout:
            return await super().execute_activity(input)
        beating = asyncio.create_task(self._beat(timeout / _BEATS_PER_TIMEOUT))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()

    async def _beat(self, period: timedelta) -> None:
        while True:
            await asyncio.sleep(period.total_seconds())
            self._outbound.heartbeat()
