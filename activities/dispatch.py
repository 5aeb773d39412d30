"""Dispatch a bot.

Re-check, sleep until the instant, write the intent, ask the backend, record the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session
from temporalio import activity

from activities.recheck import DueBot, recheck
from activities.services import Services
from meetbot.backends.base import BotRequest
from meetbot.bots import dispatches
from meetbot.bots.claims import counting_claims, leading_claim, target_of
from meetbot.bots.dispatches import Intent, backend_request, is_awaited
from meetbot.bots.reconcile import reconcile
from meetbot.calendars.decide_stored import redecide_event
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.tables import Bot
from meetbot.temporal.messages import (
    ActivityName,
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
    MeetingRef,
    StepKind,
)

# A meeting that keeps changing is tried so often in one go; then the workflow takes over.
_TRIES = 3
_CHANGED = DispatchResult(DispatchOutcome.CHANGED)


class DispatchActivity:
    """The activity that dispatches bots. ``sleep_until`` blocks until an instant."""

    def __init__(self, services: Services, *, sleep_until: Callable[[datetime], None]) -> None:
        self._services = services
        self._sleep_until = sleep_until

    @activity.defn(name=ActivityName.BOT_DISPATCH, no_thread_cancel_exception=True)
    def dispatch(self, request: DispatchRequest) -> DispatchResult:
        """Re-check with the provider, wait for the very instant, and ask the backend.

        Safe to repeat at any point. Raises `BackendUnavailable` if asking again may help.
        """
        for _ in range(_TRIES):
            result = self._try_to_dispatch(request)
            if result.outcome is not DispatchOutcome.CHANGED or not self._is_still_due(request):
                return result
        return _CHANGED

    def _try_to_dispatch(self, request: DispatchRequest) -> DispatchResult:
        due = self._due_bot(request)
        if due is None:
            self._recall_unwanted(request)
            return _CHANGED
        stopped_by = recheck(self._services, due, sleep_until=self._sleep_until)
        if stopped_by is not None:
            return DispatchResult(stopped_by)
        self._sleep_until(due.dispatch_at)
        intended = self._write_intent(request, due)
        if intended is None:
            return _CHANGED
        return self._ask_backend(request, *intended)

    def _is_still_due(self, request: DispatchRequest) -> bool:
        """Return whether the same bot is to go now after a change, as with another link."""
        with self._services.database.transaction(request.tenant_id) as session:
            step = reconcile(session, _ref(request), self._services.reconcile_context())
        is_same = (step.bot_id, step.generation) == (request.bot_id, request.generation)
        is_due = step.recheck_at is not None and step.recheck_at <= self._services.clock()
        return step.kind is StepKind.WAIT and is_same and is_due

    def _due_bot(self, request: DispatchRequest) -> DueBot | None:
        """The bot as it is to go, or None if it is not to go any more."""
        now = self._services.clock()
        with self._services.database.transaction(request.tenant_id) as session:
            bot = session.get(Bot, (request.tenant_id, request.bot_id))
            if bot is None or not is_awaited(bot, request) or bot.end_at <= now:
                return None
            claims = counting_claims(session, _ref(request), now)
            leader = leading_claim(claims)
            if leader is None:
                return None
            return DueBot(
                ref=_ref(request),
                dispatch_at=bot.dispatch_at,
                join_at=bot.join_at,
                target_digest=bot.target_digest,
                claims=[leader, *(copy for copy in claims if copy is not leader)],
                wait_is_over=request.wait_is_over,
            )

    def _write_intent(self, request: DispatchRequest, due: DueBot) -> tuple[Intent, BotRequest] | None:
        """Store the intent, or return None if the meeting has changed meanwhile."""
        now = self._services.clock()
        with self._services.database.transaction(request.tenant_id) as session:
            meeting = bots.lock_meeting(session, request.tenant_id, request.meeting_key)
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
            leader = leading_claim(counting_claims(session, _ref(request), now))
            if leader is None or meeting.suppressed_at is not None or not is_awaited(bot, request):
                return None
            if self._is_decided_otherwise_now(session, request.tenant_id, leader):
                return None
            if not target_of(leader).digest == bot.target_digest == due.target_digest:
                return None
            return dispatches.write_intent(session, bot, self._services.clock()), backend_request(session, bot)

    def _is_decided_otherwise_now(self, session: Session, tenant_id: str, claim: ClaimCopy) -> bool:
        """Return whether rules, attributes or an override have changed since the user's last sync."""
        user = load_context(session, tenant_id, claim.calendar_user_id)
        return user is None or redecide_event(session, user, claim.event_id, now=self._services.clock())

    def _ask_backend(self, request: DispatchRequest, intent: Intent, wanted: BotRequest) -> DispatchResult:
        asked_at = self._services.clock()
        try:
            created = self._services.backend.create(replace(wanted, join_at=asked_at))
        except BackendRefused as error:
            return self._record_refusal(request, error, intent)
        except BackendUnavailable as error:
            self._record_outage(request, error, intent)
            raise
        with self._services.database.transaction(request.tenant_id) as session:
            is_wanted = dispatches.record_acceptance(session, request, created.id, asked_at=asked_at)
        if is_wanted:
            return DispatchResult(DispatchOutcome.DISPATCHED)
        self._recall_unwanted(request)
        return _CHANGED

    def _record_refusal(self, request: DispatchRequest, error: BackendRefused, intent: Intent) -> DispatchResult:
        if not intent.surely_not_accepted:
            # An earlier request may have reached the backend; if so, its bot reports. The refusal says nothing of that one.
            outage = BackendUnavailable(error.code, "refused, after a request whose answer was lost")
            self._record_outage(request, outage, intent)
            raise outage from error
        with self._services.database.transaction(request.tenant_id) as session:
            failed = dispatches.record_refusal(session, request, error.code, intent, self._services.clock())
        return DispatchResult(DispatchOutcome.REFUSED, error.code) if failed else _CHANGED

    def _record_outage(self, request: DispatchRequest, error: BackendUnavailable, intent: Intent) -> None:
        with self._services.database.transaction(request.tenant_id) as session:
            dispatches.record_outage(session, request, error, intent)

    def _recall_unwanted(self, request: DispatchRequest) -> None:
        """Recall a bot that the backend accepted, now or earlier, after we gave it up."""
        with self._services.database.transaction(request.tenant_id) as session:
            unwanted = dispatches.unwanted_backend_bot(session, request)
        if unwanted is None:
            return
        self._services.backend.cancel(unwanted)
        with self._services.database.transaction(request.tenant_id) as session:
            dispatches.record_recall(session, request, self._services.clock())


def _ref(request: DispatchRequest) -> MeetingRef:
    return MeetingRef(request.tenant_id, request.meeting_key)
