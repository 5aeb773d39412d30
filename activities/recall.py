"""Recall a bot that was sent: have its backend take it back, and settle what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session
from temporalio import activity

from activities.services import Services
from meetbot.backends.base import BotRequest
from meetbot.bots import changes, reports, rooms
from meetbot.bots.claims import claim_that_leads, counting_claims
from meetbot.bots.dispatches import backend_request
from meetbot.bots.reconcile import reconcile
from meetbot.domain.bot_history import BotChange, Cause
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState, is_being_recalled, may_be_out
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.bot_transitions import note_change
from meetbot.storage.rooms import Sharer
from meetbot.storage.tables import Bot, Dispatch, Tenant
from meetbot.temporal.messages import ActivityName, MeetingRef, NextStep, StepKind

_NOT_IN_THE_CALL = frozenset({BotState.DISPATCHING, BotState.DISPATCHED, BotState.JOINING})


@dataclass(frozen=True, slots=True)
class _Recall:
    """A bot to be recalled, as it was when the recall began.

    ``dispatch`` is None if its backend surely has no bot, so that there is nothing to take back.
    """

    bot: Bot
    dispatch: Dispatch | None
    request: BotRequest


class RecallActivity:
    """The activity that recalls bots."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name=ActivityName.BOT_RECALL, no_thread_cancel_exception=True)
    def recall(self, ref: MeetingRef) -> NextStep:
        """Take the bot back or out of the meeting, then reconcile.

        It is gone for good then, or to be sent again. Raises `BackendUnavailable` until the backend has taken it back, since
        no other may join one that may still be there.
        """
        begun = self._begin(ref)
        if isinstance(begun, NextStep):
            return begun
        taken_back = begun.dispatch is None or self._take_back(begun.bot, begun.dispatch, begun.request)
        with self._services.database.transaction(ref.tenant_id) as session:
            self._settle(session, ref, begun, lost=not taken_back)
            step = reconcile(session, ref, self._services.reconcile_context())
        return self._waking_sharers(step, begun.bot)

    def _begin(self, ref: MeetingRef) -> _Recall | NextStep:
        """Note that the recall begins, before the backend is told.

        Return the next step instead if that is not a recall any more, or if another meeting shares the bot and takes it on.
        """
        with self._services.database.transaction(ref.tenant_id) as session:
            sharers = rooms.lock_for_recall(session, ref)
            step = reconcile(session, ref, self._services.reconcile_context())
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
            if bot is None or step.kind is not StepKind.RECALL:
                return step
            if self._is_handed_over(session, bot, sharers):
                return reconcile(session, ref, self._services.reconcile_context())
            wanted = backend_request(bot, session.get_one(Tenant, ref.tenant_id))
            dispatch = bots.dispatch_of(session, bot)
            if dispatch is None or not may_be_out(dispatch.state):
                return _Recall(bot, None, wanted)
            # From now on an end that the backend reports is the answer to this, and no end of the bot's own.
            if dispatch.recalled_at is None:
                note_change(bot, bot.state, Cause(BotChange.RECALL_BEGUN, self._services.clock()))
            dispatch.recalled_at = self._services.clock()
            # The backend knows it by the id that it was asked for with, by whichever meeting.
            return _Recall(bot, dispatch, replace(wanted, external_id=dispatch.external_id))

    def _is_handed_over(self, session: Session, bot: Bot, sharers: Sequence[Sharer]) -> bool:
        context = self._services.reconcile_context()
        return bool(sharers) and rooms.hand_over(session, bot, sharers, context.default_lead, now=context.now)

    def _waking_sharers(self, step: NextStep, recalled: Bot) -> NextStep:
        """Add the meetings that shared the bot until it was recalled.

        In a transaction of its own: who begins to share it before the recall is stored does not see that it is gone.
        """
        with self._services.database.transaction(recalled.tenant_id) as session:
            to_wake = rooms.wake_sharers(session, recalled, self._services.clock())
        return replace(step, to_wake=to_wake)

    def _take_back(self, bot: Bot, dispatch: Dispatch, request: BotRequest) -> bool:
        """Return whether the backend has taken the bot back; False only if the bot is lost."""
        backend_bot_id = dispatch.backend_bot_id
        try:
            if backend_bot_id is None:
                # The answer to our request was lost: there may or may not be a bot.
                found = self._services.backend.look_up(request)
                if found and bot.state is BotState.MISSED and reports.was_in_the_call(found):
                    reports.apply_answer(self._services.database, bot, found, now=self._services.clock())
                    return True
                backend_bot_id = found.id if found else None
            if backend_bot_id is not None:
                self._services.backend.cancel(backend_bot_id)
        except (BackendRefused, BackendUnavailable) as error:
            if reports.is_lost(bot, self._services.clock()):
                return False
            if backend_bot_id is not None and self._has_ended(backend_bot_id):
                return True
            if isinstance(error, BackendUnavailable):
                raise
            # A refusal may pass, as with a key that is being changed, and nobody else tells the bot to go.
            raise BackendUnavailable(error.code, "the backend refuses to take the bot back") from error
        return True

    def _has_ended(self, backend_bot_id: str) -> bool:
        """Whether the bot is over: a backend may refuse to take back what is not there any more."""
        try:
            return self._services.backend.progress(backend_bot_id).state in TERMINAL_STATES
        except (BackendRefused, BackendUnavailable):
            return False

    def _settle(self, session: Session, ref: MeetingRef, begun: _Recall, *, lost: bool) -> None:
        """Say what becomes of the bot, unless that was settled meanwhile or another one was sent."""
        meeting = bots.lock_meeting(session, ref.tenant_id, ref.meeting_key)
        bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is None or bot.state is BotState.SCHEDULED:
            return
        now = self._services.clock()
        dispatch = bots.dispatch_of(session, bot)
        if not _is_still_ours(bot, dispatch, begun):
            return
        if dispatch is not None:
            bots.move_dispatch(dispatch, DispatchState.RECALLED)
            dispatch.recalled_at = now
        if bot.state in TERMINAL_STATES:
            return
        if lost:
            changes.fail_bot(session, bot, "backend_lost", now)
            return
        suppressed = meeting.suppressed_at is not None
        wanted = claim_that_leads(counting_claims(session, ref, now), meeting, bot)
        if wanted is not None and not suppressed and wanted.end_at > now:
            changes.renew_bot(session, bot, now)
            session.flush()
        elif not suppressed and bot.state in _NOT_IN_THE_CALL and _is_over(session, bot, now):
            changes.miss_bot(session, bot, now)
        else:
            changes.cancel_bot(session, bot, meeting, now)


def _is_still_ours(bot: Bot, dispatch: Dispatch | None, begun: _Recall) -> bool:
    """Return whether this recall settles the bot: only one that this recall told to leave."""
    if bot.generation != begun.bot.generation:
        return False
    if begun.dispatch is not None:
        return dispatch is not None and is_being_recalled(dispatch.state, dispatch.recalled_at)
    # There was nothing to tell. If a bot may be out now, it was sent between.
    return dispatch is None or not may_be_out(dispatch.state)


def _is_over(session: Session, bot: Bot, now: datetime) -> bool:
    """Return whether the meeting took place, as far as we know, and is over."""
    event = bots.event_of(session, bot)
    return event is not None and event.is_expected and (event.is_over or bot.end_at <= now)
