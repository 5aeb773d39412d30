"""Reconcile a bot with its claims, and follow it once it was sent."""

from __future__ import annotations

from temporalio import activity

from activities.herds import Herds
from activities.services import Services
from meetbot.backends.base import BackendBot
from meetbot.bots import reports
from meetbot.bots.reconcile import reconcile
from meetbot.domain.bot_state import TERMINAL_STATES
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.tables import Bot
from meetbot.temporal.messages import ActivityName, MeetingRef, NextStep


class BotActivities:
    """The activities that need no waiting and no recall."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._herds = Herds(services.database)

    @activity.defn(name=ActivityName.BOT_RECONCILE, no_thread_cancel_exception=True)
    def reconcile(self, ref: MeetingRef) -> NextStep:
        """Bring the meeting's bot to what its claims ask for; return what the workflow does next."""
        with self._services.database.transaction(ref.tenant_id) as session:
            step = reconcile(session, ref, self._services.reconcile_context())
        return self._herds.spread(step)

    @activity.defn(name=ActivityName.BOT_FOLLOW, no_thread_cancel_exception=True)
    def follow(self, ref: MeetingRef) -> NextStep:
        """Ask the backend how the bot is doing, in case a report was lost; then reconcile.

        Raises `BackendUnavailable` or `BackendRefused` if the backend does not say.
        """
        with self._services.database.transaction(ref.tenant_id) as session:
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is not None and bot.backend_bot_id is not None and bot.state not in TERMINAL_STATES:
            answer = self._progress_of(bot, bot.backend_bot_id)
            reports.apply_answer(self._services.database, bot, answer, now=self._services.clock())
        return self.reconcile(ref)

    def _progress_of(self, bot: Bot, backend_bot_id: str) -> BackendBot | None:
        """Return what the backend says, or None if it says nothing and its time is up."""
        try:
            return self._services.backend.progress(backend_bot_id)
        except (BackendUnavailable, BackendRefused):
            if not reports.is_lost(bot, self._services.clock()):
                raise
            return None
