"""The re-check: what the provider itself says of a meeting, in the last moments before its bot goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from activities.services import Services
from meetbot.calendars.ingest import decide_now, record_of
from meetbot.calendars.listing_diff import fingerprint_of
from meetbot.domain.event import Event, EventStatus
from meetbot.errors import ProviderError, ResourceGone, VaultError
from meetbot.providers.http import Deadline
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.events import tombstone_events, write_events

# Where several claimants can be asked, a provider that hangs gets no longer than this, or an even share of the time.
_LEAST_SHARE_SECONDS = 2.5
_TOO_SHORT_SECONDS = 0.05


class Verdict(StrEnum):
    """`STANDS`: the copy is as stored. `CHANGED`: it was not, and is stored now. `UNREACHABLE`: nobody could say."""

    STANDS = "stands"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Recheck:
    verdict: Verdict
    copy: ClaimCopy | None


@dataclass(frozen=True, slots=True)
class Question:
    """One copy to be read again. ``unasked``: the copies before it, whose providers did not answer."""

    meeting_key: str
    copy: ClaimCopy
    unasked: Sequence[ClaimCopy] = ()


_UNREACHABLE = Recheck(Verdict.UNREACHABLE, None)


def recheck_any(
    services: Services, tenant_id: str, meeting_key: str, copies: Sequence[ClaimCopy], *, seconds: float
) -> Recheck:
    """Ask with the first claimant whose provider answers, the leading copy's first, in `seconds` altogether."""
    deadline = Deadline(seconds)
    for number, copy in enumerate(copies):
        remaining = deadline.remaining()
        if remaining <= _TOO_SHORT_SECONDS:
            break
        share = max(remaining / (len(copies) - number), min(remaining, _LEAST_SHARE_SECONDS))
        verdict = recheck(services, tenant_id, Question(meeting_key, copy, copies[:number]), seconds=share)
        if verdict is not Verdict.UNREACHABLE:
            return Recheck(verdict, copy)
    with services.database.transaction(tenant_id) as session:
        # Nobody can be asked: then what others' calendars have said since counts.
        if bots.doubt_contradicted(session, tenant_id, meeting_key, now=services.clock()):
            return Recheck(Verdict.CHANGED, None)
    return _UNREACHABLE


def recheck(services: Services, tenant_id: str, question: Question, *, seconds: float) -> Verdict:
    """Read one copy at its provider; where it differs from what is stored, store it with a new decision."""
    deadline = Deadline(seconds)
    with services.database.transaction(tenant_id) as session:
        user = load_context(session, tenant_id, question.copy.calendar_user_id)
    if user is None or not user.is_connected:
        return Verdict.UNREACHABLE
    try:
        raw = _confirmed(services, user, question.copy, deadline)
    except (ProviderError, VaultError):
        # Whether access is really lost is the sync's to find out and tell; here it only means: ask somebody else.
        return Verdict.UNREACHABLE
    return _take_in(services, user, question, raw)


def _confirmed(
    services: Services, user: CalendarUserContext, copy: ClaimCopy, deadline: Deadline
) -> Mapping[str, Any] | None:
    """The event as it is now; None where it is gone by two answers: one that goes astray must cost no meeting its bot."""
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


def _take_in(
    services: Services, user: CalendarUserContext, question: Question, raw: Mapping[str, Any] | None
) -> Verdict:
    now = services.clock()
    provider = services.providers[user.provider]
    event = provider.normalise(question.copy.calendar_id, raw, owner_email=user.email) if raw is not None else None
    if raw is None or event is None or event.status is EventStatus.CANCELLED:
        with services.database.transaction(user.tenant_id) as session:
            tombstone_events(session, user.tenant_id, [question.copy.event_id], now=now)
            # One who only removed a meeting from their own calendar is no witness against it.
            if event is not None:
                _doubt(session, user, question.meeting_key, question.unasked, now)
        return Verdict.CHANGED
    decided = decide_now(user, event, fingerprint_of(raw), now=now)
    outdated = [copy for copy in question.unasked if not _is_as_stored(event, copy)]
    stands = _is_as_stored(event, question.copy) and decided.decision.outcome == "record"
    if stands and not outdated:
        return Verdict.STANDS
    with services.database.transaction(user.tenant_id) as session:
        if not stands:
            write_events(session, [record_of(decided, now=now)])
        _doubt(session, user, question.meeting_key, outdated, now)
    return Verdict.CHANGED


def _doubt(
    session: Session, user: CalendarUserContext, meeting_key: str, copies: Sequence[ClaimCopy], now: datetime
) -> None:
    """The meeting was cancelled, or is another one by now: copies that nobody could read are out of date."""
    if copies:
        bots.doubt(session, user.tenant_id, meeting_key, [copy.calendar_user_id for copy in copies], now=now)


def _is_as_stored(event: Event, copy: ClaimCopy) -> bool:
    url = event.link.url if event.link is not None else None
    return (event.start, event.end, url) == (copy.start_at, copy.end_at, copy.meeting_url)
