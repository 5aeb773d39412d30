"""The re-check: what the provider itself says of a meeting, in the last moments before its bot goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from activities.services import Services
from meetbot.errors import ProviderError, ResourceGone, VaultError
from meetbot.ingest import DecidedEvent, decide_raw, record_of
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.events import bury_events, write_events
from meetbot.sync import looked_up


class Verdict(StrEnum):
    """`STANDS`: the copy is as stored. `CHANGED`: it was not, and is stored now. `UNREACHABLE`: nobody could say."""

    STANDS = "stands"
    CHANGED = "changed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Recheck:
    verdict: Verdict
    copy: ClaimCopy | None


_UNREACHABLE = Recheck(Verdict.UNREACHABLE, None)


def recheck_any(services: Services, tenant_id: str, copies: Sequence[ClaimCopy], *, seconds: float) -> Recheck:
    """Ask with the first claimant whose provider answers, the leading copy's first, in `seconds` altogether."""
    deadline = time.monotonic() + seconds
    for copy in copies:
        remaining = deadline - time.monotonic()
        if remaining <= 0.05:
            break
        verdict = recheck(services, tenant_id, copy, seconds=remaining)
        if verdict is not Verdict.UNREACHABLE:
            return Recheck(verdict, copy)
    return _UNREACHABLE


def recheck(services: Services, tenant_id: str, copy: ClaimCopy, *, seconds: float) -> Verdict:
    """Read one copy at its provider; where it differs from what is stored, store it with a new decision."""
    with services.database.transaction(tenant_id) as session:
        user = load_context(session, tenant_id, copy.calendar_user_id)
    if user is None or not user.is_connected:
        return Verdict.UNREACHABLE
    try:
        return _read(services, user, copy, seconds)
    except ResourceGone:
        return _bury(services, user, copy)
    except (ProviderError, VaultError):
        # Whether access is really lost is the sync's to find out and tell; here it only means: ask somebody else.
        return Verdict.UNREACHABLE


def _read(services: Services, user: CalendarUserContext, copy: ClaimCopy, seconds: float) -> Verdict:
    provider = services.providers[user.provider]
    raw = services.tokens.call(
        user,
        lambda token: provider.get_event(
            token,
            calendar_id=copy.calendar_id,
            provider_event_id=copy.provider_event_id,
            timeout_seconds=seconds,
        ),
    )
    change = looked_up(copy.calendar_id, raw, None)
    now = services.clock()
    decided = decide_raw(user, provider, change, now=now)
    if decided is None:
        return _bury(services, user, copy)
    if _stands(decided, copy):
        return Verdict.STANDS
    with services.database.transaction(user.tenant_id) as session:
        write_events(session, [record_of(user, decided, change.fingerprint, now=now)])
    return Verdict.CHANGED


def _stands(decided: DecidedEvent, copy: ClaimCopy) -> bool:
    event = decided.event
    return (
        decided.decision.outcome == "record"
        and (event.start, event.end) == (copy.start_at, copy.end_at)
        and event.link is not None
        and event.link.url == copy.meeting_url
    )


def _bury(services: Services, user: CalendarUserContext, copy: ClaimCopy) -> Verdict:
    """Cancelled, gone from the calendar, or no event any more."""
    with services.database.transaction(user.tenant_id) as session:
        bury_events(session, user.tenant_id, [copy.event_id], now=services.clock())
    return Verdict.CHANGED
