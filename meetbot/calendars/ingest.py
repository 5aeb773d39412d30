"""From a provider's events to stored ones with decisions: what syncing and the re-check before a dispatch share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from meetbot.calendars.listing_diff import ChangedEvent, is_stale
from meetbot.domain.event import Event, EventStatus
from meetbot.domain.identity import Identity, identity_of
from meetbot.providers.base import CalendarProvider
from meetbot.rules import Decision
from meetbot.rules.policy import Decider, decider
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.events import decision_columns, event_from_row, event_record, undecided_rows, write_decisions
from meetbot.storage.tables import CalendarEvent


@dataclass(frozen=True, slots=True)
class DecidedEvent:
    event: Event
    identity: Identity
    decision: Decision


def decided_events(
    user: CalendarUserContext, provider: CalendarProvider, changed: Iterable[ChangedEvent], *, now: datetime
) -> list[dict[str, Any]]:
    """The rows to write for changed events. What was cancelled before we ever saw it is left out."""
    records, decide = [], decider(user.policy, now=now)
    for change in changed:
        decided = _decided(user, provider, change, decide)
        if decided is not None:
            records.append(record_of(user, decided, change.fingerprint, now=now))
    return records


def decide_now(user: CalendarUserContext, event: Event, *, now: datetime) -> DecidedEvent:
    """One event with its decision by the policy in force."""
    identity = identity_of(event, user.tenant_id, user.id)
    return DecidedEvent(event, identity, decider(user.policy, now=now)(event, identity))


def _decided(
    user: CalendarUserContext, provider: CalendarProvider, change: ChangedEvent, decide: Decider
) -> DecidedEvent | None:
    event = provider.normalise(change.calendar_id, change.raw, owner_email=user.email)
    if event is None or is_stale(change, event.updated):
        return None
    if event.status is EventStatus.CANCELLED and change.stored is None:
        return None
    identity = identity_of(event, user.tenant_id, user.id)
    return DecidedEvent(event, identity, decide(event, identity))


def record_of(user: CalendarUserContext, decided: DecidedEvent, fingerprint: bytes, *, now: datetime) -> dict[str, Any]:
    override = user.policy.override_for(decided.identity)
    return event_record(
        decided.event,
        decided.identity,
        fingerprint=fingerprint,
        decision=decided.decision,
        override=override,
        now=now,
    )


def redecide(session: Session, user: CalendarUserContext, *, now: datetime, except_ids: Sequence[str] = ()) -> int:
    """Decide again about the stored events that are not over; writes and counts those whose decision changed."""
    fresh = frozenset(except_ids)
    records, decide = [], decider(user.policy, now=now)
    for row in undecided_rows(session, user.tenant_id, user.id, now=now):
        if row.id in fresh:
            continue
        identity = Identity(user.tenant_id, user.id, row.id, row.meeting_key, row.series_key)
        decision = decide(event_from_row(row, user.provider), identity)
        override = user.policy.override_for(identity)
        if _differs(row, decision, override):
            records.append(
                {"tenant_id": user.tenant_id, "id": row.id, **decision_columns(decision, override=override, now=now)}
            )
    write_decisions(session, records)
    return len(records)


def redecide_event(session: Session, user: CalendarUserContext, event_id: str, *, now: datetime) -> bool:
    """Decide again about one stored event, by the rules and overrides that hold now; whether that changed anything."""
    row = session.get(CalendarEvent, (user.tenant_id, event_id), populate_existing=True)
    if row is None or row.deleted or user.decided_policy == user.policy.digest:
        return False
    identity = Identity(user.tenant_id, user.id, row.id, row.meeting_key, row.series_key)
    decision = decider(user.policy, now=now)(event_from_row(row, user.provider), identity)
    override = user.policy.override_for(identity)
    if not _differs(row, decision, override):
        return False
    columns = decision_columns(decision, override=override, now=now)
    write_decisions(session, [{"tenant_id": user.tenant_id, "id": row.id, **columns}])
    return True


def _differs(row: CalendarEvent, decision: Decision, override: str | None) -> bool:
    stored = (row.outcome, row.reason, row.rule, row.rule_set_version, row.rule_layer, row.override)
    made = (
        decision.outcome,
        decision.reason,
        decision.rule,
        decision.rule_set_version,
        decision.layer,
        override,
    )
    return stored != made or row.facts != dict(decision.facts)
