"""The activities of a bot's workflow: take stock, dispatch, leave, follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session
from temporalio import activity

from activities.recheck import Verdict, recheck, recheck_any
from activities.services import Services
from meetbot.bots import reports, stock
from meetbot.bots.base import TERMINAL_STATES, BotRequest, BotState
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.ingest import redecide_event
from meetbot.orchestration import (
    BotOrder,
    BotStep,
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
    MeetingRef,
)
from meetbot.resources import bot_resource
from meetbot.storage import bots, outbox
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.tables import Bot, Dispatch, Tenant

_RECHECK_SECONDS = 10.0
# The last look at the provider begins this long before the backend is asked, and may end this long after.
_LAST_LOOK = timedelta(milliseconds=800)
_LAST_LOOK_SECONDS = 1.4
# A meeting that keeps changing is looked at so often in one go; then the workflow takes over.
_LOOKS = 3
_FRESH_ENOUGH = timedelta(hours=1)
_FOLLOW_AT_MOST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Armed:
    """A bot about to go: its claims with the leading one first, and what the backend is to be asked."""

    request: BotRequest
    dispatch_at: datetime
    join_at: datetime
    copies: Sequence[ClaimCopy]


class BotActivities:
    def __init__(self, services: Services, *, sleep_until: Callable[[datetime], None]) -> None:
        self._services = services
        self._sleep_until = sleep_until

    @activity.defn(name="bot.schedule", no_thread_cancel_exception=True)
    def schedule(self, ref: MeetingRef) -> BotOrder:
        """Bring the meeting's bot to what its claims come to; tells what the workflow does next."""
        with self._services.database.transaction(ref.tenant_id) as session:
            return stock.take_stock(session, ref, self._taking())

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
            return DispatchResult(DispatchOutcome.CHANGED)
        stopped = self._recheck(armed, request)
        if stopped is not None:
            return stopped
        self._sleep_until(armed.dispatch_at)
        if not self._intend(request, armed):
            return DispatchResult(DispatchOutcome.CHANGED)
        return self._ask_backend(request, armed)

    def _is_still_due(self, request: DispatchRequest) -> bool:
        """After a change: whether the same bot is to go now all the same, as with another link."""
        order = self.schedule(MeetingRef(request.tenant_id, request.meeting_key))
        same = (order.bot_id, order.generation) == (request.bot_id, request.generation)
        due = order.arm_at is not None and order.arm_at <= self._services.clock()
        return order.step is BotStep.WAIT and same and due

    @activity.defn(name="bot.leave", no_thread_cancel_exception=True)
    def leave(self, ref: MeetingRef) -> BotOrder:
        """Call the bot back or out of the meeting, then take stock: gone for good, or to be sent again."""
        with self._services.database.transaction(ref.tenant_id) as session:
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
            dispatch = bots.dispatch_of(session, bot) if bot else None
            request = self._backend_request(session, bot) if bot else None
        refused = False
        if dispatch is not None and request is not None and dispatch.state in ("intended", "accepted"):
            refused = not self._call_back(dispatch, request)
        with self._services.database.transaction(ref.tenant_id) as session:
            self._settle_after_leaving(session, ref, refused=refused)
            return stock.take_stock(session, ref, self._taking())

    @activity.defn(name="bot.follow", no_thread_cancel_exception=True)
    def follow(self, ref: MeetingRef) -> BotOrder:
        """Ask the backend how the bot is doing, in case a report got lost."""
        with self._services.database.transaction(ref.tenant_id) as session:
            bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is not None and bot.backend_bot_id is not None and BotState(bot.state) not in TERMINAL_STATES:
            self._take_progress(bot)
        return self.schedule(ref)

    def _taking(self) -> stock.StockTaking:
        return stock.StockTaking(
            now=self._services.clock(),
            default_lead=self._services.join_lead,
            backend_name=self._services.backend.name,
        )

    def _arm(self, request: DispatchRequest) -> Armed | None:
        with self._services.database.transaction(request.tenant_id) as session:
            bot = session.get(Bot, (request.tenant_id, request.bot_id))
            if bot is None or not _awaits(bot, request) or bot.end_at <= self._services.clock():
                return None
            tenant = session.get_one(Tenant, request.tenant_id)
            ref = MeetingRef(request.tenant_id, request.meeting_key)
            copies = stock.standing_copies(session, ref, tenant, self._services.clock())
            leader = stock.leading_claim(copies)
            if leader is None:
                return None
            return Armed(
                request=self._backend_request(session, bot),
                dispatch_at=bot.dispatch_at,
                join_at=bot.join_at,
                copies=[leader, *(copy for copy in copies if copy is not leader)],
            )

    def _recheck(self, armed: Armed, request: DispatchRequest) -> DispatchResult | None:
        """None where the bot may go."""
        checked = recheck_any(self._services, request.tenant_id, armed.copies, seconds=_RECHECK_SECONDS)
        if checked.verdict is Verdict.CHANGED:
            return DispatchResult(DispatchOutcome.CHANGED)
        if checked.verdict is Verdict.UNREACHABLE and not self._may_go_unchecked(armed, request):
            return DispatchResult(DispatchOutcome.HOLD)
        if self._services.clock() >= armed.dispatch_at - _LAST_LOOK:
            return None
        # A change in the last seconds counts too.
        self._sleep_until(armed.dispatch_at - _LAST_LOOK)
        asked = checked.copy or armed.copies[0]
        verdict = recheck(self._services, request.tenant_id, asked, seconds=_LAST_LOOK_SECONDS)
        return DispatchResult(DispatchOutcome.CHANGED) if verdict is Verdict.CHANGED else None

    def _may_go_unchecked(self, armed: Armed, request: DispatchRequest) -> bool:
        """On the last known state if that is fresh; else only once the meeting's start has come."""
        now = self._services.clock()
        if request.hold_over or now >= armed.join_at:
            return True
        synced = [copy.last_synced_at for copy in armed.copies if copy.last_synced_at is not None]
        return bool(synced) and now - max(synced) <= _FRESH_ENOUGH

    def _intend(self, request: DispatchRequest, armed: Armed) -> bool:
        """Write the intent down before the backend hears of it. False where the state of things changed meanwhile."""
        ref = MeetingRef(request.tenant_id, request.meeting_key)
        with self._services.database.transaction(request.tenant_id) as session:
            meeting = bots.lock_meeting(session, request.tenant_id, request.meeting_key)
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
            tenant = session.get_one(Tenant, request.tenant_id)
            leader = stock.leading_claim(stock.standing_copies(session, ref, tenant, self._services.clock()))
            if leader is None or meeting.held_at is not None or not _awaits(bot, request):
                return False
            if self._is_decided_otherwise_now(session, request.tenant_id, leader):
                return False
            if stock.target_of(leader).digest != bot.target_digest:
                return False
            bot.state = BotState.DISPATCHING
            intent = bots.dispatch_of(session, bot)
            if intent is not None:
                intent.state = "intended"
            else:
                session.add(
                    Dispatch(
                        tenant_id=bot.tenant_id,
                        meeting_key=bot.meeting_key,
                        generation=bot.generation,
                        bot_id=bot.id,
                        external_id=armed.request.external_id,
                        state="intended",
                    )
                )
            return True

    def _is_decided_otherwise_now(self, session: Session, tenant_id: str, claim: ClaimCopy) -> bool:
        """Rules, attributes or an override may have changed since the calendar user's last sync: the last word counts."""
        user = load_context(session, tenant_id, claim.calendar_user_id)
        return user is None or redecide_event(session, user, claim.event_id, now=self._services.clock())

    def _ask_backend(self, request: DispatchRequest, armed: Armed) -> DispatchResult:
        asked_at = self._services.clock()
        backend_request = _joining_at(armed.request, asked_at)
        try:
            created = self._services.backend.create(backend_request)
        except BackendRefused as error:
            self._note_refusal(request, error.code)
            return DispatchResult(DispatchOutcome.REFUSED, error.code)
        except BackendUnavailable as error:
            # Should it never come to be, this is why.
            self._note_trouble(request, error)
            raise
        with self._services.database.transaction(request.tenant_id) as session:
            bots.lock_meeting(session, request.tenant_id, request.meeting_key)
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
            dispatch = session.get_one(Dispatch, (request.tenant_id, request.meeting_key, request.generation))
            dispatch.state, dispatch.accepted_at = "accepted", asked_at
            dispatch.backend_bot_id = created.id
            bot.backend_bot_id, bot.dispatched_at, bot.failure_code = created.id, asked_at, None
            if BotState(bot.state) is BotState.DISPATCHING:
                bot.state = BotState.DISPATCHED
            bots.touch(bot, asked_at)
            self._tell(session, "bot.dispatched", bot)
        return DispatchResult(DispatchOutcome.DISPATCHED)

    def _note_refusal(self, request: DispatchRequest, code: str) -> None:
        with self._services.database.transaction(request.tenant_id) as session:
            bots.lock_meeting(session, request.tenant_id, request.meeting_key)
            bot = session.get_one(Bot, (request.tenant_id, request.bot_id), populate_existing=True)
            dispatch = session.get_one(Dispatch, (request.tenant_id, request.meeting_key, request.generation))
            dispatch.state = "refused"
            bot.failure_code = code
            stock.end_bot(session, bot, BotState.FAILED, self._services.clock())

    def _note_trouble(self, request: DispatchRequest, error: BackendUnavailable) -> None:
        with self._services.database.transaction(request.tenant_id) as session:
            session.get_one(Bot, (request.tenant_id, request.bot_id)).failure_code = error.code
            if error.nothing_done:
                dispatch = session.get_one(Dispatch, (request.tenant_id, request.meeting_key, request.generation))
                dispatch.state = "untaken"

    def _call_back(self, dispatch: Dispatch, request: BotRequest) -> bool:
        """False where the backend refuses for good to take the bot back."""
        backend_bot_id = dispatch.backend_bot_id
        try:
            if backend_bot_id is None:
                # The answer to our asking was lost: there may or may not be a bot.
                found = self._services.backend.look_up(request)
                backend_bot_id = found.id if found else None
            if backend_bot_id is not None:
                self._services.backend.cancel(backend_bot_id)
        except BackendRefused:
            return False
        return True

    def _settle_after_leaving(self, session: Session, ref: MeetingRef, *, refused: bool) -> None:
        meeting = bots.lock_meeting(session, ref.tenant_id, ref.meeting_key)
        bot = bots.latest_bot(session, ref.tenant_id, ref.meeting_key)
        if bot is None or BotState(bot.state) in TERMINAL_STATES or BotState(bot.state) is BotState.SCHEDULED:
            return
        now = self._services.clock()
        dispatch = bots.dispatch_of(session, bot)
        if dispatch is not None:
            dispatch.state, dispatch.left_at = "left", now
        if refused:
            # A bot that may still be in there must not be joined by a second one.
            bot.failure_code = "leave_refused"
            stock.end_bot(session, bot, BotState.FAILED, now)
            return
        tenant = session.get_one(Tenant, ref.tenant_id)
        wanted = stock.leading_claim(stock.standing_copies(session, ref, tenant, now))
        if wanted is None or meeting.held_at is not None or wanted.end_at <= now:
            stock.end_bot(session, bot, BotState.CANCELLED, now, outcome=stock.how_cancelled(meeting))
        else:
            stock.renew(session, bot, now)
            session.flush()

    def _take_progress(self, seen: Bot) -> None:
        progress = self._services.backend.progress(str(seen.backend_bot_id))
        now = self._services.clock()
        with self._services.database.transaction(seen.tenant_id) as session:
            bots.lock_meeting(session, seen.tenant_id, seen.meeting_key)
            bot = session.get_one(Bot, (seen.tenant_id, seen.id), populate_existing=True)
            dispatch = bots.dispatch_of(session, bot)
            if dispatch is None:
                return
            reports.apply_progress(session, bot, dispatch, progress, now=now)
            if progress.state in TERMINAL_STATES:
                reports.relay_end(session, bot, dispatch, progress, now=now)
            elif now > bot.end_at + _FOLLOW_AT_MOST:
                bot.failure_code = "backend_lost"
                stock.end_bot(session, bot, BotState.FAILED, now)

    def _backend_request(self, session: Session, bot: Bot) -> BotRequest:
        tenant = session.get_one(Tenant, bot.tenant_id)
        return BotRequest(
            external_id=f"{bot.id}.{bot.generation}",
            meeting_url=bot.meeting_url,
            join_at=bot.dispatch_at,
            display_name=tenant.bot_display_name,
            metadata={"bot_id": bot.id},
        )

    def _tell(self, session: Session, event_type: str, bot: Bot) -> None:
        session.flush()
        data = bot_resource(bot, bots.claimants(session, bot.tenant_id, bot.meeting_key))
        outbox.emit(session, bot.tenant_id, event_type, data | bots.audience(session, bot))


def _awaits(bot: Bot, request: DispatchRequest) -> bool:
    return bot.generation == request.generation and bot.state in (BotState.SCHEDULED, BotState.DISPATCHING)


def _joining_at(request: BotRequest, instant: datetime) -> BotRequest:
    return BotRequest(
        external_id=request.external_id,
        meeting_url=request.meeting_url,
        join_at=instant,
        display_name=request.display_name,
        metadata=request.metadata,
    )
