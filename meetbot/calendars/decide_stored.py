"""Decisions between the rules and the database, for syncing and for the re-check."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session

from meetbot.calendars.event_decisions import (
    DecidedEvent,
    EarlierDecision,
    NormalisedEvent,
    decide_again,
    decide_events,
)
from meetbot.domain.event import Event
from meetbot.domain.identity import Identity, identity_of
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.event_records import decision_columns, event_from_row, event_record
from meetbot.storage.events import rows_ahead, rows_of, write_decisions
from meetbot.storage.tables import CalendarEvent


def decide_now(
    user: CalendarUserContext, event: Event, fingerprint: bytes, *, known: tuple[str, str], now: datetime
) -> DecidedEvent:
    """Decide about one event by the policy in force.

    ``known`` are the keys that it is stored with.
    """
    read = NormalisedEvent(event, identity_of(event, user.tenant_id, user.id, known=known), fingerprint)
    return next(decide_events(user.policy, [read], now=now))


def record_of(decided: DecidedEvent, *, now: datetime) -> dict[str, Any]:
    """Return the row to write for an event and its decision."""
    return event_record(
        decided.event,
        decided.identity,
        fingerprint=decided.fingerprint,
        decision=decided.decision,
        override=decided.override,
        now=now,
    )


def decision_record(decided: DecidedEvent, *, now: datetime) -> dict[str, Any]:
    """Return the part of the row that holds the decision."""
    columns = decision_columns(decided.decision, override=decided.override, now=now)
    return {"tenant_id": decided.identity.tenant_id, "id": decided.identity.event_id, **columns}


def load_earlier_decisions(session: Session, user: CalendarUserContext, *, now: datetime) -> list[EarlierDecision]:
    """Read the decisions about events that are neither deleted nor over."""
    return [_earlier_decision(user, row) for row in rows_ahead(session, user.tenant_id, user.id, now=now)]


def load_events(session: Session, user: CalendarUserContext, event_ids: Iterable[str]) -> list[NormalisedEvent]:
    """Read these stored events as though their provider had just sent them."""
    rows = rows_of(session, user.tenant_id, event_ids)
    return [_earlier_decision(user, row).read for row in rows if not row.deleted]


def redecide_event(session: Session, user: CalendarUserContext, event_id: str, *, now: datetime) -> bool:
    """Decide again about one stored event, by the rules and overrides that hold now.

    False if nothing changed.
    """
    if user.decided_policy == user.policy.digest:
        return False
    row = session.get(CalendarEvent, (user.tenant_id, event_id), populate_existing=True)
    if row is None or row.deleted:
        return False
    changed = [
        decision_record(decided, now=now)
        for decided in decide_again(user.policy, [_earlier_decision(user, row)], now=now)
    ]
    write_decisions(session, changed)
    return bool(changed)


def _earlier_decision(user: CalendarUserContext, row: CalendarEvent) -> EarlierDecision:
    identity = Identity(user.tenant_id, user.id, row.id, row.shared_key, row.meeting_key, row.series_key)
    return EarlierDecision(
        read=NormalisedEvent(event_from_row(row, user.provider), identity, row.fingerprint),
        made=(row.outcome, row.reason, row.rule, row.rule_set_version, row.rule_layer, row.override, row.facts),
    )
