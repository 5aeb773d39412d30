"""Tracing a decision: the fixed policy, each rule, and what each condition saw. Pure.

`decide` stops at the first rule that matches. A trace asks all of them, and says which were reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from meetbot.domain.decision import Decision, Override, ReasonCode
from meetbot.domain.event import Event
from meetbot.domain.json_objects import Json
from meetbot.rules import fixed_policy
from meetbot.rules.compiler import compile_predicate
from meetbot.rules.engine import CompiledRules, RuleLayer, compile_rules, decide
from meetbot.rules.explain import explain_facts, facts_named_by
from meetbot.rules.facts import DecisionContext, Facts
from meetbot.rules.language import Action, AllOf, AnyOf, Not
from meetbot.rules.reading import CompileContext, Test, never
from meetbot.rules.rule_set import Rule
from meetbot.rules.text_search import Searches


@dataclass(frozen=True, slots=True)
class Condition:
    """One predicate of a rule.

    ``kind`` is a fact, ``always``, or ``all``, ``any`` or ``not`` over ``conditions``. ``test`` is what the rule says of a
    fact and ``seen`` what the event has. ``attributes`` are those that the test names; ``missing`` are those that the
    calendar user does not have.
    """

    path: str
    kind: str
    holds: bool
    test: Json = None
    seen: Json = None
    attributes: Json = None
    missing: Json = None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule.

    ``number`` counts from 1 within its layer. ``reached``: nothing earlier had decided.
    """

    layer: str
    version: str
    number: int
    name: str
    action: str
    reached: bool
    decides: bool
    condition: Condition


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """One point of the fixed policy, by the reason code that it gives."""

    reason: ReasonCode
    holds: bool
    decides: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """All that a decision is made of, in the order in which it is asked."""

    decision: Decision
    fixed: tuple[PolicyCheck, ...]
    rules: tuple[RuleTrace, ...]


def trace(event: Event, context: DecisionContext, layers: Sequence[RuleLayer]) -> Trace:
    """Decide on one event and say how it came to that."""
    rules = compile_rules(layers)
    decision = decide(event, context, rules)
    asked = (
        fixed_policy.reason_before_rules(event, context, all_day_included=rules.some_all_day or rules.all_day) is None
    )
    return Trace(
        decision=decision,
        fixed=tuple(_fixed(event, context, rules, decision)),
        rules=tuple(_rules(Facts(event, context), context, layers, asked=asked)),
    )


def _fixed(event: Event, context: DecisionContext, rules: CompiledRules, decision: Decision) -> Iterator[PolicyCheck]:
    override = context.override
    all_day_included = rules.some_all_day or rules.all_day
    checks = {
        ReasonCode.OVERRIDE_SKIP: override is Override.SKIP,
        ReasonCode.CANCELLED: fixed_policy.is_cancelled(event),
        ReasonCode.NO_MEETING_URL: fixed_policy.has_no_meeting_url(event, override),
        ReasonCode.ENDED: fixed_policy.has_ended(event, context.now),
        ReasonCode.OVERRIDE_RECORD: override is Override.RECORD,
        ReasonCode.NEVER_RECORD: context.never_record.names(event),
        ReasonCode.OWNER_DECLINED: fixed_policy.is_declined_by_owner(event),
        # Whether the rule that matches includes all-day events is known only once the rules were asked.
        ReasonCode.ALL_DAY: decision.reason is ReasonCode.ALL_DAY
        or fixed_policy.is_excluded_all_day(event, all_day_included=all_day_included),
    }
    for reason, holds in checks.items():
        yield PolicyCheck(reason, holds, decides=decision.reason is reason)


def _rules(facts: Facts, context: DecisionContext, layers: Sequence[RuleLayer], *, asked: bool) -> Iterator[RuleTrace]:
    searches = Searches()
    # All patterns join the searches before the first is asked, as when it is decided.
    numbered = [
        (
            layer,
            number,
            rule,
            _node(rule.when, CompileContext.of_rule(records=_records(rule), searches=searches), "when"),
        )
        for layer in layers
        for number, rule in enumerate(layer.rules.rules, start=1)
    ]
    reached = asked
    for layer, number, rule, node in numbered:
        condition = _observed(node, facts, context)
        yield RuleTrace(
            layer=layer.layer,
            version=layer.version,
            number=number,
            name=rule.name,
            action=rule.action,
            reached=reached,
            decides=reached and condition.holds,
            condition=condition,
        )
        reached = reached and not condition.holds


def _records(rule: Rule) -> bool:
    return rule.action is Action.RECORD


@dataclass(frozen=True, slots=True)
class _Node:
    """A predicate before it is asked: a fact with its test, or a connective over ``parts``."""

    path: str
    kind: str
    fact: BaseModel | None = None
    holds: Test = never
    parts: tuple[_Node, ...] = ()


def _node(predicate: BaseModel, reading: CompileContext, path: str) -> _Node:
    if isinstance(predicate, Not):
        return _Node(path, "not", parts=(_node(predicate.not_, reading.negated(), f"{path}.not"),))
    if isinstance(predicate, AllOf):
        return _Node(path, "all", parts=_nodes(predicate.all, reading, f"{path}.all"))
    if isinstance(predicate, AnyOf):
        return _Node(path, "any", parts=_nodes(predicate.any, reading, f"{path}.any"))
    ((kind, _),) = predicate
    return _Node(path, kind, fact=predicate, holds=compile_predicate(predicate, reading))


def _nodes(predicates: Sequence[BaseModel], reading: CompileContext, path: str) -> tuple[_Node, ...]:
    return tuple(_node(one, reading, f"{path}.{place}") for place, one in enumerate(predicates))


def _observed(node: _Node, facts: Facts, context: DecisionContext) -> Condition:
    if node.fact is not None:
        return _fact(node, node.fact, facts, context)
    parts = tuple(_observed(part, facts, context) for part in node.parts)
    held = [part.holds for part in parts]
    holds = {"not": not held[0], "all": all(held), "any": any(held)}[node.kind]
    return Condition(node.path, node.kind, holds, conditions=parts)


def _fact(node: _Node, fact: BaseModel, facts: Facts, context: DecisionContext) -> Condition:
    (test,) = fact.model_dump(mode="json", exclude_none=True).values()
    shown = explain_facts(facts, context, facts_named_by([fact]))
    return Condition(
        node.path,
        node.kind,
        holds=bool(node.holds(facts)),
        test=test,
        seen=shown.get(node.kind),
        attributes=shown.get("attributes"),
        missing=shown.get("missing_attributes"),
    )
