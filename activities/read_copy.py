"""Read one stored copy of a meeting again at its provider, and store it if it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from activities.services import Services
from meetbot.calendars.decide_stored import decide_now, record_of
from meetbot.calendars.event_decisions import DecidedEvent
from meetbot.calendars.listing_diff import fingerprint_of
from meetbot.domain.decision import Outcome
from meetbot.domain.event import Event, EventStatus
from meetbot.errors import ProviderError, ResourceGone, VaultError
from meetbot.providers.http import Deadline
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.calendar_user_state import lock_unless_ended
from meetbot.storage.events import tombstone_events, write_events

_log = structlog.get_logger(__name__)


class Verdict(StrEnum):
    """What a provider's answer means.

    `UNCHANGED`: the copy is as stored. `CHANGED`: it was not, and is stored now. `UNREACHABLE`: no answer.
    """

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider's answer means, and a digest of the event in it; None if there was none."""

    verdict: Verdict
    fingerprint: bytes | None = None


def read_copy_again(services: Services, tenant_id: str, copy: ClaimCopy, *, seconds: float) -> Verdict:
    """Ask the claimant's provider for the copy; store it, decided anew, if it differs."""
    return read_copy(services, load_claimant(services, tenant_id, copy), copy, seconds=seconds).verdict


def load_claimant(services: Services, tenant_id: str, copy: ClaimCopy) -> CalendarUserContext | None:
    """Return the calendar user of a claim, None if there is none any more."""
    with services.database.transaction(tenant_id) as session:
        return load_context(session, tenant_id, copy.calendar_user_id)


def read_copy(services: Services, user: CalendarUserContext | None, copy: ClaimCopy, *, seconds: float) -> Reading:
    """Do what `read_copy_again` does, with the claimant already loaded."""
    if user is None or not user.is_connected:
        return Reading(Verdict.UNREACHABLE)
    answer = _ask(services, user, copy, Deadline(seconds))
    if answer is None:
        return Reading(Verdict.UNREACHABLE)
    fingerprint = None if answer.raw is None else fingerprint_of(answer.raw)
    return Reading(_store_answer(services, user, copy, answer), fingerprint)


def is_unchanged(services: Services, user: CalendarUserContext, copy: ClaimCopy, *, seconds: float) -> Verdict:
    """Ask the claimant's provider for the copy, without a look at the database; store nothing."""
    if not user.is_connected:
        return Verdict.UNREACHABLE
    answer = _ask(services, user, copy, Deadline(seconds))
    if answer is None:
        return Verdict.UNREACHABLE
    return Verdict.UNCHANGED if _decided(services, user, copy, answer) is None else Verdict.CHANGED


def _ask(services: Services, user: CalendarUserContext, copy: ClaimCopy, deadline: Deadline) -> _Answer | None:
    """Return what the provider says, or None if it does not."""
    if user.is_refused(copy.calendar_id):
        # It says of every event that it is not there. What becomes of them is for the sync to say, after the grace.
        return None
    try:
        raw = _read_twice_if_gone(services, user, copy, deadline)
        return _Answer(raw, _normalised(services, user, copy, raw))
    except (ProviderError, VaultError):
        # Whether access is really lost is for the sync to find out; here it only means: no answer.
        return None
    except Exception as error:
        # A fault of ours must not cost the meeting its bot: the stored state is as good as when no provider answers.
        _log.error("copy.not_read", tenant_id=user.tenant_id, calendar_user_id=user.id, code=type(error).__name__)
        return None


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


def _normalised(
    services: Services, user: CalendarUserContext, copy: ClaimCopy, raw: Mapping[str, Any] | None
) -> Event | None:
    provider = services.providers[user.provider]
    if raw is None:
        return None
    return provider.normalise(copy.calendar_id, raw, owner_email=user.email, owner_aliases=user.email_aliases)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the provider says, raw and normalised; None for what is gone."""

    raw: Mapping[str, Any] | None
    event: Event | None


class _Gone:
    """The provider has no such event any more, or it is cancelled."""


def _decided(
    services: Services, user: CalendarUserContext, copy: ClaimCopy, answer: _Answer
) -> DecidedEvent | _Gone | None:
    """Return what the answer makes of the copy, or None if it is as stored."""
    raw, event = answer.raw, answer.event
    if raw is None or event is None or event.status is EventStatus.CANCELLED:
        return _Gone()
    decided = decide_now(user, event, fingerprint_of(raw), known=copy.keys, now=services.clock())
    return None if _is_as_stored(event, copy) and decided.decision.outcome is Outcome.RECORD else decided


def _store_answer(services: Services, user: CalendarUserContext, copy: ClaimCopy, answer: _Answer) -> Verdict:
    decided, now = _decided(services, user, copy, answer), services.clock()
    if decided is None:
        return Verdict.UNCHANGED
    with services.database.transaction(user.tenant_id) as session:
        if not lock_unless_ended(session, user.tenant_id, user.id):
            return Verdict.CHANGED
        if isinstance(decided, _Gone):
            tombstone_events(session, user.tenant_id, [copy.event_id], now=now)
        else:
            write_events(session, [record_of(decided, now=now)])
    return Verdict.CHANGED


def _is_as_stored(event: Event, copy: ClaimCopy) -> bool:
    url = event.link.url if event.link is not None else None
    return (event.start, event.end, url) == (copy.start_at, copy.end_at, copy.meeting_url)
