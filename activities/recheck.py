"""The re-check: the last look at the provider before a bot is dispatched.

It begins `meetbot.bots.reconcile.RECHECK_AHEAD` before the backend is to be asked. One claimant's copy of the event is read
again, and once more just before the instant. What differs from the stored copy is stored, and the dispatch does not go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from activities.services import Services
from meetbot.calendars.decide_stored import decide_now, record_of
from meetbot.calendars.listing_diff import fingerprint_of
from meetbot.domain.decision import Outcome
from meetbot.domain.event import Event, EventStatus
from meetbot.errors import ProviderError, ResourceGone, VaultError
from meetbot.providers.http import Deadline
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.calendar_user_state import lock_unless_ended
from meetbot.storage.events import tombstone_events, write_events
from meetbot.temporal.messages import DispatchOutcome, MeetingRef

RECHECK_SECONDS = 10.0
"""The longest that all claimants' providers are asked for."""
# The second look begins this long before the backend is asked, and takes this long at most.
_SECOND_LOOK_AHEAD = timedelta(milliseconds=800)
_SECOND_LOOK_SECONDS = 1.4
# If several claimants can be asked, a provider that hangs gets no longer than this, or an even share of the time.
_LEAST_SHARE_SECONDS = 2.5
_TOO_SHORT_SECONDS = 0.05
_FRESH_ENOUGH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DueBot:
    """A bot about to be dispatched, with the claims on its meeting, the leading one first.

    ``wait_is_over``: it has waited for the meeting's start because no provider could be asked.
    """

    ref: MeetingRef
    dispatch_at: datetime
    join_at: datetime
    target_digest: str
    claims: Sequence[ClaimCopy]
    wait_is_over: bool


class _Verdict(StrEnum):
    """What a provider's answer means.

    `UNCHANGED`: the copy is as stored. `CHANGED`: it was not, and is stored now. `UNREACHABLE`: no answer.
    """

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class _Question:
    """One copy to be read again.

    ``unanswered``: the copies asked for before it, for which no provider answered.
    """

    ref: MeetingRef
    copy: ClaimCopy
    unanswered: Sequence[ClaimCopy] = ()


def recheck(services: Services, due: DueBot, *, sleep_until: Callable[[datetime], None]) -> DispatchOutcome | None:
    """Return None if the bot may go, else why it may not: `CHANGED` or `WAIT_FOR_START`."""
    verdict, answered = _ask_claimants(services, due)
    if verdict is _Verdict.CHANGED:
        return DispatchOutcome.CHANGED
    if verdict is _Verdict.UNREACHABLE and not _may_go_unchecked(due, services.clock()):
        return DispatchOutcome.WAIT_FOR_START
    second_look_at = due.dispatch_at - _SECOND_LOOK_AHEAD
    if services.clock() >= second_look_at:
        return None
    # A change in the last seconds counts too.
    sleep_until(second_look_at)
    verdict = _ask(services, _Question(due.ref, answered or due.claims[0]), seconds=_SECOND_LOOK_SECONDS)
    return DispatchOutcome.CHANGED if verdict is _Verdict.CHANGED else None


def _may_go_unchecked(due: DueBot, now: datetime) -> bool:
    """Whether the stored state is fresh enough to go by; at the meeting's start any is."""
    if due.wait_is_over or now >= due.join_at:
        return True
    synced = [copy.last_synced_at for copy in due.claims if copy.last_synced_at is not None]
    return bool(synced) and now - max(synced) <= _FRESH_ENOUGH


def _ask_claimants(services: Services, due: DueBot) -> tuple[_Verdict, ClaimCopy | None]:
    """Ask one claimant's provider after the other; return the first verdict and its copy."""
    ref, claims = due.ref, due.claims
    deadline = Deadline(RECHECK_SECONDS)
    for number, copy in enumerate(claims):
        remaining = deadline.remaining()
        if remaining <= _TOO_SHORT_SECONDS:
            break
        share = max(remaining / (len(claims) - number), min(remaining, _LEAST_SHARE_SECONDS))
        verdict = _ask(services, _Question(ref, copy, claims[:number]), seconds=share)
        if verdict is not _Verdict.UNREACHABLE:
            return verdict, copy
    with services.database.transaction(ref.tenant_id) as session:
        # If nobody can be asked, what other claimants' calendars have said since counts.
        contradicted = bots.doubt_contradicted(session, ref.tenant_id, ref.meeting_key, now=services.clock())
    return (_Verdict.CHANGED if contradicted else _Verdict.UNREACHABLE), None


def _ask(services: Services, question: _Question, *, seconds: float) -> _Verdict:
    """Read one copy at its provider; if it differs from the stored one, store it, decided anew."""
    deadline = Deadline(seconds)
    with services.database.transaction(question.ref.tenant_id) as session:
        user = load_context(session, question.ref.tenant_id, question.copy.calendar_user_id)
    if user is None or not user.is_connected:
        return _Verdict.UNREACHABLE
    try:
        raw = _read_twice_if_gone(services, user, question.copy, deadline)
    except (ProviderError, VaultError):
        # Whether access is really lost is for the sync to find out; here it only means: ask another claimant.
        return _Verdict.UNREACHABLE
    return _store_answer(services, user, question, raw)


def _read_twice_if_gone(
    services: Services, user: CalendarUserContext, copy: ClaimCopy, deadline: Deadline
) -> Mapping[str, Any] | None:
    """Return the event as it is now, or None if two answers say that it is gone.

    One wrong answer must cost no meeting its bot.
    """
    try:
        return _read(services, user, copy, deadline)
    except ResourceGone:
        pass
    try:
        return _read(services, user, copy, deadline)
    except ResourceGone:
        return None


def _read(services: Services, user: CalendarUserContext, copy: ClaimCopy, deadline: Deadline) -> Mapping[str, Any]:
    provider = services.providers[user.provider]
    return services.tokens.call(
        user,
        lambda token: provider.get_event(
            token,
            calendar_id=copy.calendar_id,
            provider_event_id=copy.provider_event_id,
            timeout_seconds=deadline.remaining(),
        ),
        deadline=deadline,
    )


def _store_answer(
    services: Services, user: CalendarUserContext, question: _Question, raw: Mapping[str, Any] | None
) -> _Verdict:
    now = services.clock()
    provider = services.providers[user.provider]
    event = provider.normalise(question.copy.calendar_id, raw, owner_email=user.email) if raw is not None else None
    if raw is None or event is None or event.status is EventStatus.CANCELLED:
        with services.database.transaction(user.tenant_id) as session:
            if not lock_unless_ended(session, user.tenant_id, user.id):
                return _Verdict.CHANGED
            tombstone_events(session, user.tenant_id, [question.copy.event_id], now=now)
            # A claimant who only removed a meeting from the own calendar says nothing about the others' copies.
            if event is not None:
                _doubt(session, question.ref, question.unanswered, now)
        return _Verdict.CHANGED
    decided = decide_now(user, event, fingerprint_of(raw), now=now)
    outdated = [copy for copy in question.unanswered if not _is_as_stored(event, copy)]
    unchanged = _is_as_stored(event, question.copy) and decided.decision.outcome is Outcome.RECORD
    if unchanged and not outdated:
        return _Verdict.UNCHANGED
    with services.database.transaction(user.tenant_id) as session:
        if not lock_unless_ended(session, user.tenant_id, user.id):
            return _Verdict.CHANGED
        if not unchanged:
            write_events(session, [record_of(decided, now=now)])
        _doubt(session, question.ref, outdated, now)
    return _Verdict.CHANGED


def _doubt(session: Session, ref: MeetingRef, copies: Sequence[ClaimCopy], now: datetime) -> None:
    """Doubt copies that could not be read, since the meeting turned out to have changed."""
    if copies:
        users = [copy.calendar_user_id for copy in copies]
        bots.doubt(session, ref.tenant_id, ref.meeting_key, users, now=now)


def _is_as_stored(event: Event, copy: ClaimCopy) -> bool:
    url = event.link.url if event.link is not None else None
    return (event.start, event.end, url) == (copy.start_at, copy.end_at, copy.meeting_url)
