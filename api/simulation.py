"""Simulating a rule set: what it would change on a calendar user's stored events."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, Field
from sqlmodel import Session, col, select

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.decision import Decision, Layer, Outcome, ReasonCode
from meetbot.domain.event import Provider
from meetbot.domain.identity import Identity
from meetbot.resources.event import OutcomeName
from meetbot.rules import RuleSetBody
from meetbot.rules.policy import Decider, Policy, StoredRuleSet, decider
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.calendar_users import count_calendar_users, first_user_ids
from meetbot.storage.event_records import event_from_row
from meetbot.storage.tables import CalendarEvent

MAX_EVENTS = 2_000
MAX_USERS = 50
# No stored version: the compiled rules of different proposals differ by their body.
_PROPOSED_VERSION = 0


class SimulatedDecision(BaseModel):
    """A decision by one of the two rule sets."""

    outcome: OutcomeName
    reason: str
    rule: str | None
    rule_layer: str | None


class SimulatedEvent(BaseModel):
    """One event as the rules in force decide it, and as the proposed ones would."""

    event_id: str
    calendar_user_id: str
    title: str
    start: datetime | None
    before: SimulatedDecision
    after: SimulatedDecision
    changed: bool = Field(description="Whether it flips between record and skip.")
    facts: dict[str, Any]


class SimulationSummary(BaseModel):
    """The numbers of events that the proposed rules would record, skip and flip."""

    record: int
    skip: int
    flips: int


class Simulation(BaseModel):
    """What a rule set would change."""

    data: list[SimulatedEvent] = Field(
        description=f"Events that are not over, the next {MAX_EVENTS} at most; those that flip first, then by start."
    )
    summary: SimulationSummary
    truncated: bool = Field(description="Whether there are later events that are not part of this.")


class LayerSimulation(Simulation):
    """What a layer of the tenant's rules would change, for some of its calendar users."""

    users: int = Field(description="How many calendar users the tenant has.")
    sampled_users: int = Field(
        description=f"How many of them this is about, {MAX_USERS} at most, chosen by chance and always the same. They share "
        "the events evenly, the soonest of each."
    )


def simulate(
    session: Session, tenant_id: str, calendar_user_id: str, proposed: RuleSetBody, *, now: datetime
) -> Simulation | None:
    """Decide the user's coming events by the rules in force and by the proposed ones.

    Writes nothing. None if there is no such calendar user.
    """
    user = load_context(session, tenant_id, calendar_user_id, with_secret=False)
    if user is None or user.state is CalendarUserStatus.DISCONNECTING:
        return None
    events, truncated = _of_user(session, user, _Proposal(Layer.USER, proposed), now=now, limit=MAX_EVENTS)
    return Simulation(data=_flips_first(events), summary=_summary(events), truncated=truncated)


def simulate_layer(
    session: Session, tenant_id: str, layer: Layer, proposed: RuleSetBody, *, now: datetime
) -> LayerSimulation:
    """Decide coming events of the tenant's users as if this were a layer. Writes nothing."""
    # Ids are random, so the first ones are a fair sample.
    users, sample = count_calendar_users(session, tenant_id), first_user_ids(session, tenant_id, limit=MAX_USERS)
    events: list[SimulatedEvent] = []
    truncated = users > len(sample)
    for calendar_user_id in sample:
        user = load_context(session, tenant_id, calendar_user_id, with_secret=False)
        if user is None:
            continue
        own, more = _of_user(session, user, _Proposal(layer, proposed), now=now, limit=MAX_EVENTS // len(sample))
        events += own
        truncated = truncated or more
    return LayerSimulation(
        data=_flips_first(events),
        summary=_summary(events),
        truncated=truncated,
        users=users,
        sampled_users=len(sample),
    )


@dataclass(frozen=True, slots=True)
class _Proposal:
    layer: Layer
    rules: RuleSetBody


def _of_user(
    session: Session, user: CalendarUserContext, proposal: _Proposal, *, now: datetime, limit: int
) -> tuple[list[SimulatedEvent], bool]:
    """Return the user's next events as simulated, and whether there are more."""
    # Decided anew, not as stored: rules put a moment ago may not have been applied yet.
    present, changed = decider(user.policy, now=now), decider(_with(user.policy, proposal), now=now)
    rows = _next_rows(session, user.tenant_id, user.id, now=now, limit=limit + 1)
    events = [_simulated(row, user.provider, present, changed) for row in rows[:limit]]
    if user.grace_is_over(now):
        events = [_without_access(event) for event in events]
    return events, len(rows) > limit


def _flips_first(events: list[SimulatedEvent]) -> list[SimulatedEvent]:
    return sorted(events, key=lambda event: (not event.changed, event.start is None, event.start, event.event_id))


def _summary(events: list[SimulatedEvent]) -> SimulationSummary:
    recorded = sum(Outcome(event.after.outcome) is Outcome.RECORD for event in events)
    return SimulationSummary(record=recorded, skip=len(events) - recorded, flips=sum(event.changed for event in events))


def _next_rows(
    session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime, limit: int
) -> Sequence[CalendarEvent]:
    """The stored events that are neither deleted nor over, soonest first."""
    return session.exec(
        select(CalendarEvent)
        .where(CalendarEvent.tenant_id == tenant_id, CalendarEvent.calendar_user_id == calendar_user_id)
        .where(CalendarEvent.deleted == False, CalendarEvent.end_at > now)  # type: ignore[operator]  # noqa: E712
        .order_by(col(CalendarEvent.start_at), col(CalendarEvent.id))
        .limit(limit)
    ).all()


def _with(policy: Policy, proposal: _Proposal) -> Policy:
    body = orjson.dumps(proposal.rules.document()).decode()
    others = tuple(rules for rules in policy.rule_sets if rules.layer != proposal.layer)
    return dataclasses.replace(
        policy, rule_sets=(*others, StoredRuleSet(layer=proposal.layer, version=_PROPOSED_VERSION, body=body))
    )


def _simulated(row: CalendarEvent, provider: Provider, present: Decider, changed: Decider) -> SimulatedEvent:
    identity = Identity(row.tenant_id, row.calendar_user_id, row.id, row.shared_key, row.meeting_key, row.series_key)
    event = event_from_row(row, provider)
    before, after = _view(present(event, identity)), _view(decision := changed(event, identity))
    return SimulatedEvent(
        event_id=row.id,
        calendar_user_id=row.calendar_user_id,
        title=row.title,
        start=row.start_at,
        before=before,
        after=after,
        changed=before.outcome != after.outcome,
        facts=dict(decision.facts),
    )


def _without_access(event: SimulatedEvent) -> SimulatedEvent:
    """Return the event as skipped, because access to its calendar was lost for too long.

    Too long is longer than the grace period of the tenant. No rule is asked then.
    """
    revoked = SimulatedDecision(
        outcome=Outcome.SKIP.value, reason=ReasonCode.ACCESS_REVOKED, rule=None, rule_layer=None
    )
    return event.model_copy(update={"before": revoked, "after": revoked, "changed": False})


def _view(decision: Decision) -> SimulatedDecision:
    return SimulatedDecision.model_validate(
        {
            "outcome": str(decision.outcome),
            "reason": str(decision.reason),
            "rule": decision.rule,
            "rule_layer": decision.layer,
        }
    )
