"""Which meetings to record: the rule language, and the engine that decides.

Pure: no clock, no network, no database.

`parse_rule_set` reads a document, `compile_rules` makes functions of it, `decide` applies them to one event.
"""

from meetbot.domain.decision import Decision, Layer, Outcome, Override, ReasonCode
from meetbot.domain.json_objects import Json
from meetbot.rules.engine import CompiledRule, CompiledRules, RuleLayer, compile_rules, decide
from meetbot.rules.facts import AttributeValue, DecisionContext
from meetbot.rules.language import Action
from meetbot.rules.rule_set import Rule, RuleSetBody, parse_rule_set, stored_rule_set

__all__ = [
    "Action",
    "AttributeValue",
    "CompiledRule",
    "CompiledRules",
    "Decision",
    "DecisionContext",
    "Json",
    "Layer",
    "Outcome",
    "Override",
    "ReasonCode",
    "Rule",
    "RuleLayer",
    "RuleSetBody",
    "compile_rules",
    "decide",
    "parse_rule_set",
    "stored_rule_set",
]
