"""The steps of dispatching a bot.

They are: re-check, write the intent, ask the backend, record the answer. They block, and none of them waits for an
instant: `activities.launcher` takes many bots through them together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from activities.quick_look import is_settled
from activities.recheck import DueBot, Looked, first_look, second_look
from activities.services import Services
from meetbot.backends.base import BackendBot
from meetbot.bots import dispatches, launch_batches
from meetbot.bots.claims import claim_that_leads, counting_claims, place_of_claim
from meetbot.bots.dispatches import is_awaited
from meetbot.bots.launch_batches import Accepted, Intended, Launch
from meetbot.bots.reconcile import reconcile
from meetbot.calendars.decide_stored import redecide_event
from meetbot.domain.rooms import room_id
from meetbot.errors import BackendRefused, BackendUnavailable
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.tables import Bot, Meeting
from meetbot.temporal.messages import (
    DispatchOutcome,
    DispatchRequest,
    DispatchResult,
    MeetingRef,
    StepKind,
)

# A meeting that keeps changing is tried so often in one go; then the workflow takes over.
TRIES = 3
# The last looks are spread, so a connection is free again for the next one.
_LOOKS_EACH = 3
CHANGED = DispatchResult(DispatchOutcome.CHANGED)


@dataclass(frozen=True, slots=True)
class Armed:
    """A bot that passed its re-check."""

    request: DispatchRequest
    due: DueBot
    looked: Looked

    @property
    def launch(self) -> Launch:
        """Return it as its intent is written."""
        leader = self.due.claims[0]
        room = room_id(self.request.tenant_id, leader.meeting_platform, leader.meeting_id)
        return Launch(self.request, self.due.target_digest, room, self.due.join_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """A bot that the backend was asked for, and what came of it."""

    intended: Intended
    answer: BackendBot | BackendRefused | BackendUnavailable
    asked_at: datetime


class DispatchSteps:
    """What dispatching consists of. Each step may be repeated at any time."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def arm(self, request: DispatchRequest) -> Armed | DispatchResult:
        """Re-check with the provider; return what ends the dispatch if the bot may not go."""
        due = self._due_bot(request)
        if due is None:
            self._recall_unwanted(request)
            return CHANGED
        looked = first_look(self._services, due)
        return DispatchResult(looked) if isinstance(looked, DispatchOutcome) else Armed(request, due, looked)

    async def is_settled(self, armed: Armed) -> bool:
        """Ask the provider once more, quickly; whether `look_again` is not needed for the bot to go."""
        return await is_settled(self._services, armed.due, armed.looked)

    def look_again(self, armed: Armed) -> DispatchResult | None:
        """Ask the provider once more; None if the bot may go."""
        is_changed = second_look(self._services, armed.due, armed.looked)
        return CHANGED if is_changed else None

    def write_intents(self, tenant_id: str, armed: Sequence[Armed]) -> list[Intended | None]:
        """Store the intents of a tenant's bots; None for each whose meeting has changed meanwhile."""
        launches, now = [one.launch for one in armed], self._services.clock()
        users: dict[str, CalendarUserContext | None] = {}

        with self._services.database.transaction(tenant_id) as session:

            def stands(claim: ClaimCopy) -> bool:
                """Whether rules, attributes and overrides are as at the user's last sync."""
                user_id = claim.calendar_user_id
                if user_id not in users:
                    users[user_id] = load_context(session, tenant_id, user_id, with_secret=False)
                user = users[user_id]
                return user is not None and not redecide_event(session, user, claim.event_id, now=now)

            return launch_batches.write_intents(session, tenant_id, launches, now, stands=stands)

    async def warm(self, armed: Sequence[Armed]) -> None:
        """Open connections for asking about these bots, and for them, within some seconds."""
        asked = Counter(one.due.leader.provider for one in armed if one.due.leader is not None)
        await asyncio.gather(
            self._services.backend.warm(len(armed)),
            *(
                self._services.looks.warm(self._services.providers[provider].api_url, -(-count // _LOOKS_EACH))
                for provider, count in asked.items()
            ),
        )

    async def ask(self, intended: Intended) -> Asked:
        """Ask the backend for a bot."""
        asked_at = self._services.clock()
        try:
            answer = await self._services.backend.create_async(replace(intended.wanted, join_at=asked_at))
        except (BackendRefused, BackendUnavailable) as error:
            return Asked(intended, error, asked_at)
        return Asked(intended, answer, asked_at)

    async def close(self) -> None:
        """Close the connections that were opened on this event loop."""
        await self._services.close_lanes()

    def record_all(self, tenant_id: str, asked: Sequence[Asked]) -> list[DispatchResult | BackendUnavailable]:
        """Record answers about a tenant's bots; acceptances in one transaction."""
        accepted = [one for one in asked if isinstance(one.answer, BackendBot)]
        recorded: dict[str, DispatchResult] = {}
        if len(accepted) > 1:
            try:
                recorded = self._record_accepted(tenant_id, accepted)
            except Exception:
                # One of them must not lose the others theirs: each by itself, and its own error tells.
                recorded = {}
        return [recorded.get(one.intended.request.bot_id) or self._recorded_alone(one) for one in asked]

    def record(self, asked: Asked) -> DispatchResult:
        """Record one answer.

        Raises `BackendUnavailable` if asking again may help.
        """
        request = asked.intended.request
        if isinstance(asked.answer, BackendRefused):
            return self._record_refusal(asked, asked.answer)
        if isinstance(asked.answer, BackendUnavailable):
            self._record_outage(asked, asked.answer)
            raise asked.answer
        try:
            with self._services.database.transaction(request.tenant_id) as session:
                is_wanted = dispatches.record_acceptance(session, request, asked.answer.id, asked_at=asked.asked_at)
        except Exception as error:
            # The backend has the bot and we do not know it: as after a lost answer, it is asked again with the same id.
            outage = BackendUnavailable("internal_error", f"its answer was not recorded ({type(error).__name__})")
            self._record_outage(asked, outage)
            raise outage from error
        return self._settled(request, is_wanted=is_wanted)

    def is_still_due(self, request: DispatchRequest) -> bool:
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
            meeting = session.get_one(Meeting, (request.tenant_id, request.meeting_key))
            leader = claim_that_leads(claims, meeting, bot)
            if leader is None:
                return None
            return DueBot(
                ref=_ref(request),
                dispatch_at=bot.dispatch_at,
                join_at=bot.join_at,
                target_digest=bot.target_digest,
                claims=[leader, *_agreeing(claims, leader)],
                wait_is_over=request.wait_is_over,
                leader=load_context(session, request.tenant_id, leader.calendar_user_id),
            )

    def _record_accepted(self, tenant_id: str, accepted: Sequence[Asked]) -> dict[str, DispatchResult]:
        rows = [
            Accepted(one.intended.request, one.answer.id, one.asked_at)
            for one in accepted
            if isinstance(one.answer, BackendBot)
        ]
        with self._services.database.transaction(tenant_id) as session:
            wanted = launch_batches.record_acceptances(session, tenant_id, rows)
        return {
            row.request.bot_id: self._settled(row.request, is_wanted=is_wanted)
            for row, is_wanted in zip(rows, wanted, strict=True)
        }

    def _recorded_alone(self, asked: Asked) -> DispatchResult | BackendUnavailable:
        try:
            return self.record(asked)
        except BackendUnavailable as error:
            return error

    def _settled(self, request: DispatchRequest, *, is_wanted: bool) -> DispatchResult:
        if is_wanted:
            return DispatchResult(DispatchOutcome.DISPATCHED)
        self._recall_unwanted(request)
        return CHANGED

    def _record_refusal(self, asked: Asked, error: BackendRefused) -> DispatchResult:
        request, intent = asked.intended.request, asked.intended.intent
        if not intent.surely_not_accepted:
            # An earlier request may have reached the backend; if so, its bot reports. The refusal says nothing of that one.
            outage = BackendUnavailable(error.code, "refused, after a request whose answer was lost")
            self._record_outage(asked, outage)
            raise outage from error
        with self._services.database.transaction(request.tenant_id) as session:
            failed = dispatches.record_refusal(session, request, error.code, intent, self._services.clock())
        return DispatchResult(DispatchOutcome.REFUSED, error.code) if failed else CHANGED

    def _record_outage(self, asked: Asked, error: BackendUnavailable) -> None:
        request, intent = asked.intended.request, asked.intended.intent
        with self._services.database.transaction(request.tenant_id) as session:
            dispatches.record_outage(session, request, error, intent, self._services.clock())

    def _recall_unwanted(self, request: DispatchRequest) -> None:
        """Recall a bot that the backend accepted, now or earlier, after we gave it up."""
        with self._services.database.transaction(request.tenant_id) as session:
            unwanted = dispatches.unwanted_backend_bot(session, request)
        if unwanted is None:
            return
        self._services.backend.cancel(unwanted)
        with self._services.database.transaction(request.tenant_id) as session:
            dispatches.record_recall(session, request, self._services.clock())


def _agreeing(claims: list[ClaimCopy], leader: ClaimCopy) -> list[ClaimCopy]:
    place = place_of_claim(leader)
    return [copy for copy in claims if copy is not leader and place_of_claim(copy) == place]


def _ref(request: DispatchRequest) -> MeetingRef:
    return MeetingRef(request.tenant_id, request.meeting_key)
