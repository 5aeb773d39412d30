"""Deciding on one event: the fixed policy first, then the rules of all layers in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meetbot.domain.decision import Decision, Layer, Outcome, ReasonCode
from meetbot.domain.event import Event
from meetbot.rules.compiler import compile_predicate
from meetbot.rules.explain import NamedFacts, explain_facts, facts_named_by
from meetbot.rules.facts import DecisionContext, Facts
from meetbot.rules.fixed_policy import names_all_day, reason_after_rules, reason_before_rules
from meetbot.rules.language import Action
from meetbot.rules.reading import CompileContext, Test
from meetbot.rules.rule_set import Rule, RuleSetBody
from meetbot.rules.text_search import Searches

_LOCKED: Final = frozenset((Layer.LOCKED_BEFORE, Layer.LOCKED_AFTER))


@dataclass(frozen=True, slots=True)
class RuleLayer:
    """One rule set at its place among the layers. ``version`` is what decisions name."""

    rules: RuleSetBody
    version: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule as a function of the facts.

    ``decides_all_day``: whether it decides all-day events too (P4).
    """

    name: str
    version: str
    layer: Layer
    outcome: Outcome
    decides_all_day: bool
    holds: Test


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """The rules of all layers as one list, in the order in which they are asked.

    ``all_day``: whether every layer's set includes all-day events. ``some_all_day``: whether any rule that records does.
    ``named``: the facts and attributes that the rules name. ``unlocked``: the user's own layer, or the tenant's default in
    its place; a decision names it if no rule matched. ``tests`` pairs each rule with its test: a list that is quick to
    walk.
    """

    rules: tuple[CompiledRule, ...]
    all_day: bool
    some_all_day: bool
    named: NamedFacts
    unlocked: RuleLayer | None
    tests: tuple[tuple[Test, CompiledRule], ...]


def compile_rules(layers: Sequence[RuleLayer]) -> CompiledRules:
    """Compile the layers, given in the order in which they are asked (P6)."""
    searches = Searches()
    rules = tuple(_compiled(rule, layer, searches) for layer in layers for rule in layer.rules.rules)
    return CompiledRules(
        rules=rules,
        all_day=bool(layers) and all(layer.rules.all_day for layer in layers),
        some_all_day=any(rule.decides_all_day and rule.outcome is Outcome.RECORD for rule in rules),
        named=facts_named_by(rule.when for layer in layers for rule in layer.rules.rules),
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
        # A rule that skips needs no permission to skip an all-day event: else a later rule could still record it.
        decides_all_day=not records or layer.rules.all_day or names_all_day(rule.when),
        holds=compile_predicate(rule.when, CompileContext.of_rule(records=records, searches=searches)),
    )


def decide(event: Event, context: DecisionContext, rules: CompiledRules) -> Decision:
    """Decide on one event. Never raises.

    The first of these that applies is the reason: override to skip; cancelled; no meeting URL; ended; override to record;
    the never-record list; declined by the owner; all-day; a rule matches; no rule matches.
    """
    facts = Facts(event, context)
    reason = reason_before_rules(event, context, all_day_included=rules.some_all_day or rules.all_day)
    if reason is not None:
        return _without_rule(reason, facts, context, rules)
    first = _first_match(facts, rules)
    all_day_included = first.decides_all_day if first is not None else rules.all_day
    reason = reason_after_rules(event, matched=first is not None, all_day_included=all_day_included)
    if first is None or reason is not ReasonCode.RULE_MATCHED:
        return _without_rule(reason, facts, context, rules, asked=rules.unlocked)
    return Decision(
        outcome=first.outcome,
        reason=reason,
        rule=first.name,
        rule_set_version=first.version,
        layer=first.layer,
        facts=explain_facts(facts, context, rules.named),
    )


def _first_match(facts: Facts, rules: CompiledRules) -> CompiledRule | None:
    """The first rule that holds.

    On an all-day event a rule that is silent about those is not passed over for a later one.
    """
    for holds, rule in rules.tests:
        if holds(facts):
            return rule
    return None


def _without_rule(
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
        facts=explain_facts(facts, context, rules.named),
    )
