"""A trace says the same as the decision, and for each condition what it saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.rules import Layer, RuleLayer, compile_rules, decide, parse_rule_set
from meetbot.rules.never_record import NeverRecord
from meetbot.rules.tracing import Condition, Trace, trace
from tests.unit.rules.shared import OWNER, case, rule

_MANAGER = {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]}


def traced(*rules: dict[str, Any], **situation: Any) -> Trace:
    event, context = case(**situation)
    return trace(event, context, [RuleLayer(parse_rule_set({"rules": list(rules)}), "3", Layer.USER)])


def leaves(condition: Condition) -> list[Condition]:
    inner = [leaf for part in condition.conditions for leaf in leaves(part)]
    return inner or [condition]


def test_each_condition_tells_what_the_rule_says_and_what_the_event_has() -> None:
    found = traced(rule(_MANAGER, action="skip"), attributes={"manager_email": "ana@acme.com"})
    (one,) = found.rules
    first, second = leaves(one.condition)
    assert (first.path, first.kind, first.test, first.seen, first.holds) == (
        "when.all.0", "one_to_one", True, True, True,
    )  # fmt: skip
    assert (second.path, second.test) == ("when.all.1", {"any_of": ["$manager_email"]})
    assert (second.seen, second.attributes) == ([OWNER, "ana@acme.com"], {"manager_email": "ana@acme.com"})
    assert (one.layer, one.version, one.number, one.decides) == ("user", "3", 1, True)


def test_an_attribute_that_the_user_lacks_is_named() -> None:
    (one,) = traced(rule(_MANAGER, action="skip")).rules
    assert leaves(one.condition)[1].missing == ["manager_email"]
    assert not one.condition.holds


def test_rules_after_the_one_that_decides_are_not_reached_but_asked() -> None:
    no, yes = {"external": True}, {"internal": True}
    found = traced(rule(no, name="a"), rule(yes, name="b"), rule(yes, name="c"), rule(no, name="d"))
    assert [(one.name, one.reached, one.condition.holds, one.decides) for one in found.rules] == [
        ("a", True, False, False), ("b", True, True, True), ("c", False, True, False), ("d", False, False, False),
    ]  # fmt: skip


def test_no_rule_is_reached_if_the_fixed_policy_decides() -> None:
    found = traced(rule({"always": True}), event={"meeting_url": None})
    assert [check.reason for check in found.fixed if check.decides] == ["no_meeting_url"]
    assert [(one.reached, one.decides) for one in found.rules] == [(False, False)]


def test_the_never_record_list_is_a_point_of_the_fixed_policy() -> None:
    event, context = case()
    listed = replace(context, never_record=NeverRecord(title_markers=(event.title,)))
    found = trace(event, listed, [RuleLayer(parse_rule_set({"rules": [rule({"always": True})]}), "3", Layer.USER)])
    assert [check.reason for check in found.fixed if check.decides] == ["never_record"]
    assert not found.rules[0].reached


@pytest.mark.parametrize("action", ["record", "skip"])
@pytest.mark.parametrize("when", [{"title": {"matches": "week"}}, {"not": {"title": {"contains": "x"}}}])
def test_a_pattern_is_asked_as_the_decision_asks_it(action: str, when: dict[str, Any]) -> None:
    found = traced(rule(when, action=action))
    assert (found.decision.outcome, found.rules[0].decides) == (action, True)


FACTS: list[dict[str, Any]] = [
    {"internal": True}, {"external": False}, {"one_to_one": True}, {"recurring": True}, {"attendee_count": {"gte": 3}},
    {"title": {"contains": "week"}}, {"title": "$name"}, {"attendee_domains": {"none_of": ["x.com"]}}, {"always": True},
    {"start": {"weekdays": ["mon"]}}, {"all_day": True}, {"attendee_emails": {"any_of": ["$name"]}},
]  # fmt: skip
PREDICATES = st.recursive(
    st.sampled_from(FACTS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)
RULES = st.lists(st.builds(rule, PREDICATES, action=st.sampled_from(["record", "skip"])), max_size=4)


@given(rules=RULES, complete=st.booleans(), all_day=st.booleans())
def test_the_rule_that_decides_is_the_one_that_the_decision_names(
    rules: list[dict[str, Any]], complete: bool, all_day: bool
) -> None:
    numbered = [one | {"name": f"{number}"} for number, one in enumerate(rules)]
    dates = {"start": "2026-03-07", "end": "2026-03-08"} if all_day else {}
    event, context = case(dates | {"attendees_complete": complete})
    layers = [RuleLayer(parse_rule_set({"rules": numbered}), "1", Layer.USER)]
    found, decision = trace(event, context, layers), decide(event, context, compile_rules(layers))
    assert found.decision == decision
    if decision.rule is not None:
        assert [one.name for one in found.rules if one.decides] == [decision.rule]
    decides = [one for one in found.rules if one.decides]
    assert len(decides) <= 1
    assert sum(check.decides for check in found.fixed) + (decision.reason in ("rule_matched", "no_rule_matched")) == 1
