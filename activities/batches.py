"""Gather work for a moment and do it together, for one tenant at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Waiting longer would make a lone one late; what comes while a batch is done forms the next one.
_GATHERING_SECONDS = 0.01
_MOST = 200


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    result: asyncio.Future[Result]


class Batches(Generic[Item, Result]):
    """Hands items of a tenant on together.

    The function blocks and returns one result for each. A result that is an exception is raised to whoever waits
    for it. There is one batch of a tenant at a time.
    """

    def __init__(self, work: Callable[[str, Sequence[Item]], Sequence[Result | Exception]], pool: Executor) -> None:
        self._work = work
        self._pool = pool
        self._waiting: dict[str, list[_Waiting[Item, Result]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, tenant_id: str, item: Item) -> Result:
        """Return what the function makes of this item."""
        waiting = _Waiting[Item, Result](item, asyncio.get_running_loop().create_future())
        queue = self._waiting.get(tenant_id)
        if queue is not None:
            queue.append(waiting)
        else:
            self._waiting[tenant_id] = [waiting]
            task = asyncio.create_task(self._empty(tenant_id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await waiting.result

    async def _empty(self, tenant_id: str) -> None:
        await asyncio.sleep(_GATHERING_SECONDS)
        while queue := self._waiting[tenant_id]:
            batch, self._waiting[tenant_id] = queue[:_MOST], queue[_MOST:]
            await self._do(tenant_id, batch)
        del self._waiting[tenant_id]

    async def _do(self, tenant_id: str, batch: Sequence[_Waiting[Item, Result]]) -> None:
        items = [waiting.item for waiting in batch]
        results: Sequence[Result | Exception]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._pool, self._work, tenant_id, items)
        except Exception as error:
            results = [error] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if waiting.result.done():
                continue
            if isinstance(result, Exception):
                waiting.result.set_exception(result)
            else:
                waiting.result.set_result(result)
