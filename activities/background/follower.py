"""Ask backends about the bots that are out there and silent.

Reports say how a bot is doing. In case one is lost, the backend is asked, for all bots in batches and not by their workflows: a
round of a workflow costs fifty times what a request does. A workflow hears of it only if its bot has ended (decision 0034).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.services import Services
from meetbot.backends.base import BackendBot
from meetbot.bots import reports
from meetbot.domain.bot_state import TERMINAL_STATES
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage.silent_bots import SilentBot, take_silent, unwanted_meetings
from meetbot.temporal.messages import BotSignal, bot_workflow_id

_EVERY_SECONDS = 10.0
_MOST = 200
_AT_ONCE = 20
_SIGNAL_TIMEOUT = timedelta(seconds=5)
_log = structlog.get_logger(__name__)

Wake = Callable[[str, str], Awaitable[None]]
"""Tells the workflow of a meeting, by tenant and key, that something was stored about its bot."""


class Follower:
    """Asks about silent bots, one for a process.

    ``is_crowded`` tells when bots are being sent, before which everything else waits.
    """

    def __init__(self, services: Services, wake: Wake, is_crowded: Callable[[], bool]) -> None:
        self._services, self._wake, self._is_crowded = services, wake, is_crowded
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask every ten seconds until `stop` is set."""
        while not stop.is_set():
            try:
                while not self._is_crowded() and await self.ask() == _MOST and not stop.is_set():
                    pass
            except Exception as error:
                # The next round tries again; the text may quote a row.
                _log.error("follower.failed", code=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)

    async def ask(self) -> int:
        """Ask about one batch of silent bots; return how many there were."""
        silent = await asyncio.to_thread(self._take)
        by_tenant: dict[str, list[SilentBot]] = {}
        for bot in silent:
            by_tenant.setdefault(bot.tenant_id, []).append(bot)
        duties = [self._ask_about(bot) for bot in silent]
        duties += [self._wake_unwanted(tenant_id, sent) for tenant_id, sent in by_tenant.items()]
        outcomes = await asyncio.gather(*duties, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                _log.warning("follower.bot_failed", code=type(outcome).__name__)
        return len(silent)

    def _take(self) -> Sequence[SilentBot]:
        with self._services.database.relay() as session:
            return take_silent(session, now=self._services.clock(), most=_MOST)

    async def _wake_unwanted(self, tenant_id: str, sent: Sequence[SilentBot]) -> None:
        """Tell workflows of bots that nobody wants any more.

        They were told when it came to be so, but that may have been lost.
        """
        for meeting_key in await asyncio.to_thread(self._find_unwanted, tenant_id, sent):
            await self._wake(tenant_id, meeting_key)

    def _find_unwanted(self, tenant_id: str, sent: Sequence[SilentBot]) -> Sequence[str]:
        with self._services.database.transaction(tenant_id) as session:
            return unwanted_meetings(session, tenant_id, [bot.id for bot in sent], self._services.clock())

    async def _ask_about(self, bot: SilentBot) -> None:
        async with self._gate:
            answer = await self._answer(bot)
            if answer is None and not reports.is_lost(bot, self._services.clock()):
                return
            if answer is not None and _is_known(bot, answer):
                return
            wakes = await asyncio.to_thread(self._apply, bot, answer)
        if wakes:
            await self._wake(bot.tenant_id, bot.meeting_key)

    async def _answer(self, bot: SilentBot) -> BackendBot | None:
        """What the backend says, None if it says nothing."""
        try:
            return await self._services.backend.progress_async(bot.backend_bot_id)
        except (BackendUnavailable, BackendRefused):
            return None

    def _apply(self, bot: SilentBot, answer: BackendBot | None) -> bool:
        return reports.apply_answer(self._services.database, bot, answer, now=self._services.clock())


def _is_known(bot: SilentBot, answer: BackendBot) -> bool:
    """Whether the answer says nothing new.

    An end is new even if it was heard of: its workflow may not have been told.
    """
    if answer.state in TERMINAL_STATES:
        return False
    return answer.state is bot.state and (answer.recorded_seconds or 0) <= (bot.recorded_seconds or 0)


def waking(client: Client) -> Wake:
    """Return what signals the workflow of a bot."""

    async def wake(tenant_id: str, meeting_key: str) -> None:
        handle = client.get_workflow_handle(bot_workflow_id(tenant_id, meeting_key))
        try:
            await handle.signal(BotSignal.BACKEND_REPORTED, rpc_timeout=_SIGNAL_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                # Its own timer looks as well, a while after the meeting's end.
                _log.warning("follower.not_told", code=error.status.name)

    return wake
