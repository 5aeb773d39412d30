"""A backend during whose calls something happens, and what was told of its bots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlmodel import Session

from meetbot.backends.base import BackendBot, BotRequest
from meetbot.errors import BackendUnavailable
from meetbot.temporal.messages import NextStep
from tests.dispatching import SingleDispatch
from tests.integration.meetings import dispatch
from tests.rig import Rig


class SlowBackend:
    """The rig's backend; something happens after it accepted a bot and before it answers."""

    def __init__(self, rig: Rig, meanwhile: Callable[[], object]) -> None:
        self._backend = rig.services.backend
        self._meanwhile = meanwhile
        self.name, self.idempotency = self._backend.name, self._backend.idempotency

    def create(self, request: BotRequest) -> BackendBot:
        created = self._backend.create(request)
        self._meanwhile()
        return created

    async def create_async(self, request: BotRequest) -> BackendBot:
        return await asyncio.to_thread(self.create, request)

    async def warm(self, connections: int) -> None:
        """Nothing to prepare."""

    def look_up(self, request: BotRequest) -> BackendBot | None:
        return self._backend.look_up(request)

    def cancel(self, backend_bot_id: str) -> None:
        self._backend.cancel(backend_bot_id)

    async def progress_async(self, backend_bot_id: str) -> BackendBot:
        return await asyncio.to_thread(self.progress, backend_bot_id)

    def progress(self, backend_bot_id: str) -> BackendBot:
        return self._backend.progress(backend_bot_id)


class SlowDatabase:
    """The rig's database, with something happening once the first transaction is committed."""

    def __init__(self, rig: Rig, meanwhile: Callable[[], object]) -> None:
        self._database = rig.database
        self._meanwhile = [meanwhile]

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[Session]:
        with self._database.transaction(tenant_id) as session:
            yield session
        while self._meanwhile:
            self._meanwhile.pop()()


def slowly(rig: Rig, meanwhile: Callable[[], object]) -> SingleDispatch:
    services = replace(rig.services, backend=SlowBackend(rig, meanwhile))
    return SingleDispatch(services, sleep_until=rig.clock.sleep_until)


def told_of_the_bot(rig: Rig) -> list[str]:
    """What was told of bots, in the order in which it is to be read."""
    told = [
        (data["sequence"], event_type) for event_type, data in rig.webhook_events() if event_type.startswith("bot.")
    ]
    return [event_type for _, event_type in sorted(told)]


def lose_the_answer(rig: Rig, key: str, step: NextStep) -> None:
    """The backend accepts the bot, and its answer is lost."""
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", times=1, drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
