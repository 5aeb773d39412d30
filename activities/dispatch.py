"""The dispatch: re-check with the provider, wait for the very instant, and ask the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session
from temporalio import activity

from activities.recheck import Question, Verdict, recheck, recheck_any
from activities.services import Services
from meetbot.backends.base import BotRequest
from meetbot.bots import reconcile
from meetbot.calendars.ingest import redecide_event
from meetbot.domain.bot_state import TERMINAL_STATES, BotState
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.tables import Bot, Dispatch, Tenant
from meetbot.temporal.messages import BotStep, DispatchOutcome, DispatchRequest, DispatchResult, MeetingRef

RECHECK_SECONDS = 10.0
# The last look at the provider begins this long before the backend is asked, and may end this long after.
_LAST_LOOK = timedelta(milliseconds=800)
_LAST_LOOK_SECONDS = 1.4
# A meeting that keeps changing is looked at so often in one go; then the workflow takes over.
_LOOKS = 3
_FRESH_ENOUGH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Armed:
    """A bot about to go: its claims with the leading one first, and what the backend is to be asked."""

    request: BotRequest
    dispatch_at: datetime
    join_at: datetime
    copies: Sequence[ClaimCopy]


@dataclass(frozen=True, slots=True)
class Intent:
    """``surely_untaken``: the backend has not been asked yet, or has turned every asking away. ``written_at`` tells it from
    the intent of another attempt."""

    surely_untaken: bool
    written_at: datetime


class DispatchActivity:
    def __init__(self, services: Services, *, sleep_until: Callable[[datetime], None]) -> None:
        self._services = services
        self._sleep_until = sleep_until

    @activity.defn(name="bot.dispatch", no_thread_cancel_exception=True)
    def dispatch(self, request: DispatchRequest) -> DispatchResult:
        """Re-check with the provider, wait for the very instant, and ask the backend. Safe to repeat at any point.

        Raises `BackendUnavailable` where asking again may help.
        """
        for _ in range(_LOOKS):
            result = self._dispatch_as_it_stands(request)
            if result.outcome is not DispatchOutcome.CHANGED or not self._is_still_due(request):
                return result
        return DispatchResult(DispatchOutcome.CHANGED)

    def _dispatch_as_it_stands(self, request: DispatchRequest) -> DispatchResult:
        armed = self._arm(request)
        if armed is None:
            self._call_back_unwanted(request)
            return DispatchResult(DispatchOutcome.CHANGED)
        stopped = self._recheck(armed, request)
        if stopped is not None:
            return stopped
        self._sleep_until(armed.dispatch_at)
        intent = self._intend(request, armed)
        if intent is None:
            return DispatchResult(DispatchOutcome.CHANGED)
        return self._ask_backend(request, armed, intent)

    def _is_still_due(self, request: DispatchRequest) -> bool:
        """After a change: whether the same bot is to go now all the same, as with another link."""
        ref = MeetingRef(request.tenant_id, request.meeting_key)
        with self._services.database.transaction(request.tenant_id) as session:
            order = reconcile.take_stock(session, ref, self._services.stock_taking())
        same = (order.bot_id, order.generation) == (request.bot_id, request.generation)
        due = order.arm_at is not None and order.arm_at <= self._services.clock()
        return order.step is BotStep.WAIT and same and due

    def _arm(self, request: DispatchRequest) -> Armed | None:
        with self._services.database.transaction(request.tenant_id) as session:
            bot = session.get(Bot, (request.tenant_id, request.bot_id))
            if bot is None or not _awaits(bot, request) or bot.end_at <= self._services.clock():
                return None
            tenant = session.get_one(Tenant, request.tenant_id)
            ref = MeetingRef(request.tenant_id, request.meeting_key)
            copies = reconcile.standing_copies(session, ref, tenant, self._services.clock())
            leader = reconcile.leading_claim(copies)
            if leader is None:
                return None
            return Armed(
                request=reconcile.backend_request(session, bot),
                dispatch_at=bot.dispatch_at,
                join_at=bot.join_at,
                copies=[leader, *(copy for copy in copies if copy is not leader)],
            )

    def _recheck(self, armed: Armed, request: DispatchRequest) -> DispatchResult | None:
        """None where the bot may go."""
        checked = recheck_any(
            self._services, request.tenant_id, request.meeting_key, armed.copies, seconds=RECHECK_SECONDS
        )
        if checked.verdict is Verdict.CHANGED:
            return DispatchResult(DispatchOutcome.CHANGED)
        if checked.verdict is Verdict.UNREACHABLE and not self._may_go_unchecked(armed, request):
            return DispatchResult(DispatchOutcome.HOLD)
        if self._services.clock() >= armed.dispatch_at - _LAST_LOOK:
            return None
        # A change in the last seconds counts too.
        self._sleep_until(armed.dispatch_at - _LAST_LOOK)
        asked = Question(request.meeting_key, checked.copy or armed.copies[0])
        verdict = recheck(self._services, request.tenant_id, asked, seconds=_LAST_LOOK_SECONDS)
        return DispatchResult(DispatchOutcome.CHANGED) if verdict is Verdict.CHANGED else None

    def _may_go_unchecked(self, armed: Armed, request: DispatchRequest) -> bool:
        """On the last known state if that is fresh; else only once the meeting's start has come."""
        now = self._services.clock()
        if request.hold_over or now >= armed.join_at:
            return True
        synced = [copy.last_synced_at for copy in armed.copies if copy.last_synced_at is not None]
        return bool(synced) and now - max(synced) <= _FRESH_ENOUGH

    def _intend(self, request: DispatchRequest, armed: Armed) -> Intent | None:
        """Write the intent down before the backend hears of it. None where the state of things changed meanwhile."""
        ref = MeetingRef(request.tenant_id, request.meeting_key)
        with self._services.database.transaction(request.tenant_id) as session:
            meeting = bots.lock_meeting(session, request.tenant_id, request.meeting_key)
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
            tenant = session.get_one(Tenant, request.tenant_id)
            leader = reconcile.leading_claim(reconcile.standing_copies(session, ref, tenant, self._services.clock()))
            if leader is None or meeting.held_at is not None or not _awaits(bot, request):
                return None
            if self._is_decided_otherwise_now(session, request.tenant_id, leader):
                return None
            if reconcile.target_of(leader).digest != bot.target_digest:
                return None
            bot.state = BotState.DISPATCHING
            return self._write_intent(session, bot, armed.request.external_id)

    def _write_intent(self, session: Session, bot: Bot, external_id: str) -> Intent:
        now = self._services.clock()
        earlier = bots.dispatch_of(session, bot)
        if earlier is not None:
            intent = Intent(earlier.state == "untaken", now)
            earlier.state, earlier.requested_at = "intended", now
            return intent
        session.add(
            Dispatch(
                tenant_id=bot.tenant_id,
                meeting_key=bot.meeting_key,
                generation=bot.generation,
                bot_id=bot.id,
                external_id=external_id,
                state="intended",
                requested_at=now,
            )
        )
        return Intent(True, now)

    def _is_decided_otherwise_now(self, session: Session, tenant_id: str, claim: ClaimCopy) -> bool:
        """Rules, attributes or an override may have changed since the calendar user's last sync: the last word counts."""
        user = load_context(session, tenant_id, claim.calendar_user_id)
        return user is None or redecide_event(session, user, claim.event_id, now=self._services.clock())

    def _ask_backend(self, request: DispatchRequest, armed: Armed, intent: Intent) -> DispatchResult:
        asked_at = self._services.clock()
        backend_request = _joining_at(armed.request, asked_at)
        try:
            created = self._services.backend.create(backend_request)
        except BackendRefused as error:
            if intent.surely_untaken:
                return self._note_refusal(request, error.code, intent)
            # An earlier asking may have been heard: if so, its bot reports; until then the refusal says nothing of it.
            doubt = BackendUnavailable(error.code, "refused, after an asking whose answer was lost")
            self._note_trouble(request, doubt, intent)
            raise doubt from error
        except BackendUnavailable as error:
            # Should it never come to be, this is why.
            self._note_trouble(request, error, intent)
            raise
        if self._note_taken(request, created.id, asked_at):
            return DispatchResult(DispatchOutcome.DISPATCHED)
        self._call_back_unwanted(request)
        return DispatchResult(DispatchOutcome.CHANGED)

    def _note_taken(self, request: DispatchRequest, backend_bot_id: str, asked_at: datetime) -> bool:
        """False where the bot that was asked for is not wanted any more."""
        with self._services.database.transaction(request.tenant_id) as session:
            bot, dispatch = _as_asked(session, request)
            if dispatch.state == "accepted":
                return True
            if _is_given_up(bot, request):
                # Nobody else tells this one to leave, so that it stands as one that is still out.
                dispatch.state, dispatch.backend_bot_id = "intended", backend_bot_id
                return False
            reconcile.note_taken(session, bot, dispatch, backend_bot_id, at=asked_at)
            return True

    def _call_back_unwanted(self, request: DispatchRequest) -> None:
        """The bot that the backend took after we had given it up, in this attempt or in one that could not finish."""
        with self._services.database.transaction(request.tenant_id) as session:
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id))
            dispatch = session.get(Dispatch, (request.tenant_id, request.meeting_key, request.generation))
            if dispatch is None or dispatch.state != "intended" or not _is_given_up(bot, request):
                return
            unwanted = dispatch.backend_bot_id
        if unwanted is None:
            return
        self._services.backend.cancel(unwanted)
        with self._services.database.transaction(request.tenant_id) as session:
            _, dispatch = _as_asked(session, request)
            dispatch.state, dispatch.left_at = "left", self._services.clock()

    def _note_refusal(self, request: DispatchRequest, code: str, intent: Intent) -> DispatchResult:
        with self._services.database.transaction(request.tenant_id) as session:
            bot, dispatch = _as_asked(session, request)
            if not _awaits(bot, request) or not _is_the_last(dispatch, intent):
                return DispatchResult(DispatchOutcome.CHANGED)
            dispatch.state = "refused"
            bot.failure_code = code
            reconcile.end_bot(session, bot, BotState.FAILED, self._services.clock())
        return DispatchResult(DispatchOutcome.REFUSED, code)

    def _note_trouble(self, request: DispatchRequest, error: BackendUnavailable, intent: Intent) -> None:
        with self._services.database.transaction(request.tenant_id) as session:
            bot, dispatch = _as_asked(session, request)
            if not _awaits(bot, request):
                return
            bot.failure_code = error.code
            # An earlier asking may have been heard though its answer was lost, whatever became of this one.
            if error.nothing_done and intent.surely_untaken and _is_the_last(dispatch, intent):
                dispatch.state = "untaken"


def _as_asked(session: Session, request: DispatchRequest) -> tuple[Bot, Dispatch]:
    """The bot as it is now, and the dispatch that it was asked for with; the meeting stays locked."""
    bots.lock_meeting(session, request.tenant_id, request.meeting_key)
    bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
    return bot, session.get_one(Dispatch, (request.tenant_id, request.meeting_key, request.generation))


def _awaits(bot: Bot, request: DispatchRequest) -> bool:
    return bot.generation == request.generation and bot.state in (BotState.SCHEDULED, BotState.DISPATCHING)


def _is_the_last(dispatch: Dispatch, intent: Intent) -> bool:
    """An attempt that was overtaken by another speaks only for itself."""
    return dispatch.requested_at == intent.written_at


def _is_given_up(bot: Bot, request: DispatchRequest) -> bool:
    return bot.generation != request.generation or BotState(bot.state) in TERMINAL_STATES


def _joining_at(request: BotRequest, instant: datetime) -> BotRequest:
    return replace(request, join_at=instant)
