"""To record or to skip one event, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from meetbot.domain.decision import Decision, Layer, Outcome, Override, ReasonCode
from meetbot.domain.event import Event, EventStatus, Response
from meetbot.rules.compiler import Reading, Test, compile_predicate
from meetbot.rules.explain import Named, named_by, shown_facts
from meetbot.rules.facts import DecisionContext, Facts
from meetbot.rules.language import Action, AllDay, AllOf, AnyOf, Not
from meetbot.rules.rule_set import Rule, RuleSetBody
from meetbot.rules.text_search import Searches

_LOCKED: Final = frozenset((Layer.LOCKED_BEFORE, Layer.LOCKED_AFTER))


@dataclass(frozen=True, slots=True)
class RuleLayer:
    rules: RuleSetBody
    version: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class CompiledRule:
    name: str
    version: str
    layer: str
    outcome: Outcome
    decides_all_day: bool
    holds: Test


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """All layers as one list. ``all_day``: whether every layer's set includes all-day events; ``some_all_day``: whether
    any rule that records does. ``named``: the facts and attributes that the rules name. ``unlocked``: the layer that is the
    user's own, or the tenant's default in its place; it answers for what no rule decided."""

    rules: tuple[CompiledRule, ...]
    all_day: bool
    some_all_day: bool
    named: Named
    unlocked: RuleLayer | None
    tests: tuple[tuple[Test, CompiledRule], ...]


def compile_rules(layers: Sequence[RuleLayer]) -> CompiledRules:
    """The layers in the order in which they are asked; the first rule that matches decides."""
    searches = Searches()
    rules = tuple(_compiled(rule, layer, searches) for layer in layers for rule in layer.rules.rules)
    return CompiledRules(
        rules=rules,
        all_day=bool(layers) and all(layer.rules.all_day for layer in layers),
        some_all_day=any(rule.decides_all_day and rule.outcome is Outcome.RECORD for rule in rules),
        named=named_by(rule.when for layer in layers for rule in layer.rules.rules),
        unlocked=next((layer for layer in layers if layer.layer not in _LOCKED), None),
        tests=tuple((rule.holds, rule) for rule in rules),
    )


def _compiled(rule: Rule, layer: RuleLayer, searches: Searches) -> CompiledRule:
    records = rule.action is Action.RECORD
    return CompiledRule(
        name=rule.name,
        version=layer.version,
        layer=layer.layer,
        outcome=Outcome.RECORD if records else Outcome.SKIP,
        # To skip an all-day event needs no permission: otherwise a rule that skips could be jumped over.
        decides_all_day=not records or layer.rules.all_day or _names_all_day(rule.when, positively=True),
        holds=compile_predicate(rule.when, Reading.of_rule(records=records, searches=searches)),
    )


def _names_all_day(predicate: BaseModel, *, positively: bool) -> bool:
    """Whether the predicate speaks of all-day events as ones it is about, ``not`` taken into account."""
    if isinstance(predicate, AllDay):
        return predicate.all_day is positively
    if isinstance(predicate, Not):
        return _names_all_day(predicate.not_, positively=not positively)
    if isinstance(predicate, AllOf):
        return any(_names_all_day(inner, positively=positively) for inner in predicate.all)
    if isinstance(predicate, AnyOf):
        return any(_names_all_day(inner, positively=positively) for inner in predicate.any)
    return False


def decide(event: Event, context: DecisionContext, rules: CompiledRules) -> Decision:
    """The decision on one event. Never raises, whatever the event holds.

    The first that applies gives the reason: override to skip; cancelled; no meeting URL (or not a meeting at all, unless
    overridden); ended (or without usable times); override to record; declined by the owner; all-day; a rule matches; none
    does.
    """
    facts = Facts(event, context)
    gate = _gate(event, context, rules)
    if gate is not None:
        return _decision(gate, facts, context, rules)
    first = _first_match(facts, rules)
    if event.all_day and not (first.decides_all_day if first else rules.all_day):
        return _decision(ReasonCode.ALL_DAY, facts, context, rules, asked=rules.unlocked)
    if first is None:
        return _decision(ReasonCode.NO_RULE_MATCHED, facts, context, rules, asked=rules.unlocked)
    return Decision(
        outcome=first.outcome,
        reason=ReasonCode.RULE_MATCHED,
        rule=first.name,
        rule_set_version=first.version,
        layer=first.layer,
        facts=shown_facts(facts, context, rules.named),
    )


def _first_match(facts: Facts, rules: CompiledRules) -> CompiledRule | None:
    """The one rule that has a say: one that is silent about all-day events is not jumped over for a later one."""
    for holds, rule in rules.tests:
        if holds(facts):
            return rule
    return None


def _gate(event: Event, context: DecisionContext, rules: CompiledRules) -> ReasonCode | None:
    """The reason that settles the matter before any rule is asked."""
    if context.override is Override.SKIP:
        return ReasonCode.OVERRIDE_SKIP
    if (never := _never_recorded(event, context)) is not None:
        return never
    if context.override is Override.RECORD:
        return ReasonCode.OVERRIDE_RECORD
    if event.owner_response is Response.DECLINED:
        return ReasonCode.OWNER_DECLINED
    if event.all_day and not rules.some_all_day and not rules.all_day:
        return ReasonCode.ALL_DAY
    return None


def _never_recorded(event: Event, context: DecisionContext) -> ReasonCode | None:
    """What not even an override changes; of what is no meeting, focus time for one, an override makes one."""
    if event.status is EventStatus.CANCELLED:
        return ReasonCode.CANCELLED
    if event.link is None:
        return ReasonCode.NO_MEETING_URL
    if not event.is_meeting and context.override is not Override.RECORD:
        return ReasonCode.NO_MEETING_URL
    if event.start is None or event.end is None or event.end <= context.now:
        return ReasonCode.ENDED
    return None


def _decision(
    reason: ReasonCode,
    facts: Facts,
    context: DecisionContext,
    rules: CompiledRules,
    *,
    asked: RuleLayer | None = None,
) -> Decision:
    return Decision(
        outcome=Outcome.RECORD if reason is ReasonCode.OVERRIDE_RECORD else Outcome.SKIP,
        reason=reason,
        rule=None,
        rule_set_version=asked.version if asked else None,
        layer=asked.layer if asked else None,
        facts=shown_facts(facts, context, rules.named),
    )
