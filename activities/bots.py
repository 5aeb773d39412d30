"""The activities of a bot's workflow besides the dispatch: take stock, leave, follow."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session
from temporalio import activity

from activities.services import Services
from meetbot.backends.base import BackendBot, BotRequest
from meetbot.bots import reconcile, reports
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.tables import Bot, Dispatch, Tenant
from meetbot.temporal.messages import BotOrder, BotStep, MeetingRef

# A backend that says nothing for so long after the meeting's end has lost the bot.
_LOST_AFTER = timedelta(hours=24)
_OUTSIDE = frozenset({BotState.DISPATCHING, BotState.DISPATCHED, BotState.JOINING})


class BotActivities:
    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name="bot.schedule", no_thread_cancel_exception=True)
    def schedule(self, ref: MeetingRef) -> BotOrder:
        """Bring the meeting's bot to what its claims come to; tells what the workflow does next."""
        with self._services.database.transaction(ref.tenant_id) as session:
            return reconcile.take_stock(session, ref, self._services.stock_taking())

    @activity.defn(name="bot.leave", no_thread_cancel_exception=True)
    def leave(self, ref: MeetingRef) -> BotOrder:
        """Call the bot back or out of the meeting, then take stock: gone for good, or to be sent again."""
        with self._services.database.transaction(ref.tenant_id) as session:
            order = reconcile.take_stock(session, ref, self._services.stock_taking())
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
            if bot is None or order.step is not BotStep.LEAVE:
                return order
            dispatch = bots.dispatch_of(session, bot)
            request = reconcile.backend_request(session, bot)
            if dispatch is not None and reconcile.may_be_out(dispatch):
                # From now on, what its backend reports is the answer to this, and no end of its own.
                dispatch.left_at = self._services.clock()
        called_back = reconcile.is_being_called_back(dispatch)
        lost = dispatch is not None and called_back and not self._call_back(bot, dispatch, request)
        with self._services.database.transaction(ref.tenant_id) as session:
            self._settle_after_leaving(session, ref, bot, called_back=called_back, lost=lost)
            return reconcile.take_stock(session, ref, self._services.stock_taking())

    @activity.defn(name="bot.follow", no_thread_cancel_exception=True)
    def follow(self, ref: MeetingRef) -> BotOrder:
        """Ask the backend how the bot is doing, in case a report got lost."""
        with self._services.database.transaction(ref.tenant_id) as session:
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is not None and bot.backend_bot_id is not None and BotState(bot.state) not in TERMINAL_STATES:
            self._take_progress(bot)
        return self.schedule(ref)

    def _call_back(self, bot: Bot, dispatch: Dispatch, request: BotRequest) -> bool:
        """Whether the backend has taken the bot back. False only once it is past all hope that it will say so: one that may
        still be in there must not be joined by another. Raises `BackendUnavailable` until then."""
        backend_bot_id = dispatch.backend_bot_id
        try:
            if backend_bot_id is None:
                # The answer to our asking was lost: there may or may not be a bot.
                found = self._services.backend.look_up(request)
                if found and BotState(bot.state) is BotState.MISSED and reports.was_in_the_call(found):
                    self._take_in(bot, found)
                    return True
                backend_bot_id = found.id if found else None
            if backend_bot_id is not None:
                self._services.backend.cancel(backend_bot_id)
        except (BackendRefused, BackendUnavailable) as error:
            if self._is_lost(bot):
                return False
            if backend_bot_id is not None and self._has_ended(backend_bot_id):
                return True
            if isinstance(error, BackendUnavailable):
                raise
            # As with a key that is being changed: nobody else tells the bot to go.
            raise BackendUnavailable(error.code, "the backend refuses to take the bot back") from error
        return True

    def _has_ended(self, backend_bot_id: str) -> bool:
        """A backend may refuse to take back what is not there any more."""
        try:
            return self._services.backend.progress(backend_bot_id).state in TERMINAL_STATES
        except (BackendRefused, BackendUnavailable):
            return False

    def _is_lost(self, bot: Bot) -> bool:
        return self._services.clock() > bot.end_at + _LOST_AFTER

    def _settle_after_leaving(
        self, session: Session, ref: MeetingRef, called: Bot, *, called_back: bool, lost: bool
    ) -> None:
        meeting = bots.lock_meeting(session, ref.tenant_id, ref.meeting_key)
        bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is None or BotState(bot.state) is BotState.SCHEDULED:
            return
        now = self._services.clock()
        dispatch = bots.dispatch_of(session, bot)
        sent_meanwhile = bot.generation != called.generation or (reconcile.may_be_out(dispatch) and not called_back)
        settled_meanwhile = called_back and not reconcile.is_being_called_back(dispatch)
        if sent_meanwhile or settled_meanwhile:
            return
        if dispatch is not None:
            dispatch.state, dispatch.left_at = "left", now
        if BotState(bot.state) in TERMINAL_STATES:
            return
        if lost:
            bot.failure_code = "backend_lost"
            reconcile.end_bot(session, bot, BotState.FAILED, now)
            return
        tenant = session.get_one(Tenant, ref.tenant_id)
        wanted = reconcile.leading_claim(reconcile.standing_copies(session, ref, tenant, now))
        if wanted is not None and meeting.held_at is None and wanted.end_at > now:
            reconcile.renew(session, bot, now)
            session.flush()
        elif meeting.held_at is None and BotState(bot.state) in _OUTSIDE and _is_over(session, bot, now):
            reconcile.end_bot(session, bot, BotState.MISSED, now)
        else:
            reconcile.end_bot(session, bot, BotState.CANCELLED, now, outcome=reconcile.how_cancelled(meeting))

    def _take_progress(self, seen: Bot) -> None:
        self._take_in(seen, self._asked_progress(seen))

    def _take_in(self, seen: Bot, progress: BackendBot | None) -> None:
        now = self._services.clock()
        with self._services.database.transaction(seen.tenant_id) as session:
            bots.lock_meeting(session, seen.tenant_id, seen.meeting_key)
            bot = session.get_one(Bot, (seen.tenant_id, seen.id), populate_existing=True)
            dispatch = bots.dispatch_of(session, bot)
            if dispatch is None or (bot.generation, bot.backend_bot_id) != (seen.generation, seen.backend_bot_id):
                # The answer is about one that was called back meanwhile.
                return
            if progress is not None:
                reports.apply_progress(session, bot, dispatch, progress, now=now)
            if progress is not None and progress.state in TERMINAL_STATES:
                reports.relay_end(session, bot, dispatch, progress, now=now)
            elif self._is_lost(bot) and BotState(bot.state) not in TERMINAL_STATES:
                bot.failure_code = "backend_lost"
                reconcile.end_bot(session, bot, BotState.FAILED, now)

    def _asked_progress(self, bot: Bot) -> BackendBot | None:
        """None where the backend says nothing, and has had all the time that we give it."""
        try:
            return self._services.backend.progress(str(bot.backend_bot_id))
        except (BackendUnavailable, BackendRefused):
            if not self._is_lost(bot):
                raise
            return None


def _is_over(session: Session, bot: Bot, now: datetime) -> bool:
    """Whether the meeting took place, as far as we know, and is over."""
    event = bots.standing_event(session, bot)
    return event is not None and event.is_expected and (event.is_over or bot.end_at <= now)
