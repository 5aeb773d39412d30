"""Explaining a stored decision: each rule and each condition, with what it saw then."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, Field
from sqlmodel import Session

from meetbot.domain.decision import Layer, Outcome
from meetbot.domain.identity import Identity
from meetbot.resources.event import OutcomeName
from meetbot.rules import DecisionContext, Override, RuleLayer, stored_rule_set
from meetbot.rules.policy import TENANT_OWNER, StoredRuleSet, evaluation_order
from meetbot.rules.tracing import Condition, RuleTrace, Trace, trace
from meetbot.storage.calendar_user_context import load_context
from meetbot.storage.event_records import event_from_row
from meetbot.storage.rule_sets import find_version, versions_in_force
from meetbot.storage.tables import CalendarEvent


class ConditionView(BaseModel):
    """One condition of a rule, with what it saw."""

    path: str = Field(description="Its place in the rule, such as `when.all.0`.")
    kind: str = Field(description="The fact that is tested, or `all`, `any` or `not` over `conditions`.")
    holds: bool
    test: Any = Field(description="What the rule says of the fact.")
    seen: Any = Field(description="What the event has. Lists and texts are cut as in a decision's `facts`.")
    attributes: dict[str, Any] | None = Field(description="The calendar user's attributes that the test names.")
    missing_attributes: list[str] | None = Field(description="Attributes that the test names and the user has not.")
    conditions: list[ConditionView]


class RuleView(BaseModel):
    """One rule, in the order in which they are asked."""

    layer: str
    version: int
    number: int = Field(description="Counts from 1 within its rule set.")
    name: str
    action: OutcomeName
    reached: bool = Field(description="False if something before it had decided already.")
    holds: bool
    decides: bool
    condition: ConditionView


class PolicyCheckView(BaseModel):
    """One point of the fixed policy."""

    reason: str = Field(description="The reason code that it gives.")
    holds: bool
    decides: bool


class TracedDecision(BaseModel):
    """What a decision comes to."""

    outcome: OutcomeName
    reason: str
    rule: str | None
    rule_layer: str | None
    rule_set_version: int | None


class RuleSetInForce(BaseModel):
    """A version of a rule set that the decision was made by."""

    layer: str
    version: int


class Explanation(BaseModel):
    """Why an event is recorded or not."""

    event_id: str
    as_of: datetime = Field(description="When it was decided, by the rule sets in force then.")
    decision: TracedDecision = Field(description="As it is stored.")
    rule_sets: list[RuleSetInForce]
    traced: TracedDecision = Field(description="As the rules below decide.")
    agrees: bool = Field(
        description="Whether both are the same. Not, if something other than the rules decided (`access_revoked`, "
        "`daily_limit`, `cancelled`), or if the never-record list, internal domains or unnamed attributes have changed since."
    )
    fixed_policy: list[PolicyCheckView] = Field(
        description="In this order: each comes before the rules, but for what an `override_record` beats."
    )
    rules: list[RuleView]


def explain(session: Session, row: CalendarEvent) -> Explanation | None:
    """Trace the decision that is stored of an event. None if its calendar user is gone."""
    user = load_context(session, row.tenant_id, row.calendar_user_id, with_secret=False)
    if user is None:
        return None
    identity = Identity(row.tenant_id, row.calendar_user_id, row.id, row.shared_key, row.meeting_key, row.series_key)
    override = Override(row.override) if row.override else user.policy.override_for(identity)
    context = DecisionContext(
        owner_email=user.email,
        internal_domains=user.policy.internal_domains,
        attributes=_attributes_then(row.facts, user.policy.attributes),
        now=row.decided_at,
        override=override,
        never_record=user.policy.never_record,
    )
    layers = _layers_then(session, row)
    found = trace(event_from_row(row, user.provider), context, layers)
    stored, traced = _stored(row), _traced(found)
    return Explanation(
        event_id=row.id,
        as_of=row.decided_at,
        decision=stored,
        rule_sets=[RuleSetInForce(layer=layer.layer, version=int(layer.version)) for layer in layers],
        traced=traced,
        agrees=stored == traced,
        fixed_policy=[
            PolicyCheckView(reason=check.reason, holds=check.holds, decides=check.decides) for check in found.fixed
        ],
        rules=[_rule(one) for one in found.rules],
    )


def _attributes_then(facts: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes as the decision saw them, as far as it kept them, else as they are now."""
    missing = frozenset(facts.get("missing_attributes", ()))
    kept = {name: value for name, value in present.items() if name not in missing}
    return kept | dict(facts.get("attributes", {}))


def _layers_then(session: Session, row: CalendarEvent) -> list[RuleLayer]:
    """The rule sets in force when it was decided.

    Of the deciding layer it is the version that the decision names.
    """
    owners = (row.calendar_user_id, TENANT_OWNER)
    by_layer = {one.layer: one for one in versions_in_force(session, row.tenant_id, owners, at=row.decided_at)}
    if row.rule_layer is not None and row.rule_set_version is not None:
        owner = row.calendar_user_id if row.rule_layer == Layer.USER else TENANT_OWNER
        named = find_version(session, row.tenant_id, owner, row.rule_layer, int(row.rule_set_version))
        if named is not None:
            by_layer[named.layer] = named
        if row.rule_layer == Layer.DEFAULT:
            # The user's own set, which would stand in its place, came later.
            by_layer.pop(Layer.USER, None)
    bodies = {layer: one.body for layer, one in by_layer.items()}
    ordered = evaluation_order(
        [StoredRuleSet(layer, one.version, orjson.dumps(one.body).decode()) for layer, one in by_layer.items()]
    )
    return [
        RuleLayer(stored_rule_set(bodies[one.layer]), version=str(one.version), layer=Layer(one.layer))
        for one in ordered
    ]


def _stored(row: CalendarEvent) -> TracedDecision:
    return TracedDecision.model_validate(
        row.model_dump(include={"outcome", "reason", "rule", "rule_layer", "rule_set_version"})
    )


def _traced(found: Trace) -> TracedDecision:
    decision = found.decision
    return TracedDecision.model_validate(
        {
            "outcome": str(decision.outcome),
            "reason": str(decision.reason),
            "rule": decision.rule,
            "rule_layer": decision.layer,
            "rule_set_version": decision.rule_set_version,
        }
    )


def _rule(one: RuleTrace) -> RuleView:
    values = dataclasses.asdict(one) | {"action": Outcome(one.action), "holds": one.condition.holds}
    return RuleView.model_validate(values | {"version": int(one.version), "condition": _condition(one.condition)})


def _condition(one: Condition) -> ConditionView:
    return ConditionView.model_validate(
        {
            "path": one.path,
            "kind": one.kind,
            "holds": one.holds,
            "test": one.test,
            "seen": one.seen,
            "attributes": one.attributes,
            "missing_attributes": one.missing,
            "conditions": _conditions(one.conditions),
        }
    )


def _conditions(parts: Sequence[Condition]) -> list[ConditionView]:
    return [_condition(part) for part in parts]
