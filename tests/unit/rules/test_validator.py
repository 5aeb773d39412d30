"""What is refused, where, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from meetbot.domain.decision import Layer
from meetbot.errors import Fault, InvalidInput
from meetbot.rules import RuleLayer, RuleSetBody, compile_rules, parse_rule_set, stored_rule_set
from meetbot.rules.language import EXAMPLE
from meetbot.rules.validator import check_document
from tests.unit.rules.shared import rule

_REFUSED = Path(__file__).parents[2] / "corpus" / "rules" / "refused" / "rule_sets.jsonl"


def faults_of(document: object) -> tuple[Fault, ...]:
    with pytest.raises(InvalidInput) as refusal:
        parse_rule_set(document)
    assert refusal.value.code == "invalid_rules"
    return refusal.value.faults


def fault_of(when: object) -> Fault:
    """The only fault of a predicate, with the path after ``rules.0.when``."""
    (fault,) = faults_of({"rules": [{"name": "a", "action": "record", "when": when}]})
    assert fault.path.startswith("rules.0.when")
    return Fault(fault.path.removeprefix("rules.0.when").lstrip("."), fault.code, fault.message)


def nested(depth: int) -> dict[str, Any]:
    predicate: dict[str, Any] = {"internal": True}
    for _ in range(depth - 1):
        predicate = {"not": predicate}
    return predicate


def test_the_three_sentences_of_the_contract_are_rules() -> None:
    assert [item.name for item in parse_rule_set(EXAMPLE).rules] == [
        "no 1:1s with my manager",
        "customers",
        "internal meetings",
    ]


@pytest.mark.parametrize("entry", [json.loads(text) for text in _REFUSED.read_text(encoding="utf-8").splitlines()])
def test_a_bad_set_is_refused_with_all_faults_at_their_places(entry: dict[str, Any]) -> None:
    assert sorted(fault.path for fault in faults_of(entry["rules"])) == sorted(entry["faults_at"]), entry["case"]


def test_no_rules_are_a_rule_set_too() -> None:
    assert parse_rule_set({"rules": []}).rules == []


def test_a_rule_set_becomes_the_document_it_was_read_from() -> None:
    when = {
        "all": [
            {"title": {"in": ["a", "b"], "contains": "c", "matches": "d+"}},
            {"attendee_count": {"gte": 2, "lt": 9.5}},
            {"attendee_domains": {"any_of": ["x.com"], "none_of": ["$y"]}},
            {"start": {"weekdays": ["mon"], "from": "09:00", "to": "24:00", "timezone": "Europe/Berlin"}},
            {
                "not": {
                    "any": [{"always": True}, {"response": "accepted"}, {"one_to_one": False}, {"duration_minutes": 30}]
                }
            },
        ]
    }
    document = {"rules": [rule(when)], "all_day": True}
    assert parse_rule_set(document).document() == document
    assert parse_rule_set(parse_rule_set(document).document()) == parse_rule_set(document)


@pytest.mark.parametrize("document", [None, [], "rules", 1, True, float("nan")])
def test_what_is_no_object_is_no_rule_set(document: object) -> None:
    assert [(fault.path, fault.code) for fault in faults_of(document)] == [("", "wrong_type")]


def test_every_fault_of_the_set_is_told_with_its_exact_path() -> None:
    document = {
        "rules": [
            {"name": "a", "action": "tape", "when": {"internal": "yes"}},
            {"name": "", "action": "skip"},
            {"name": "a", "action": "skip", "when": {"all": [{"title": {"matches": "("}}, {"intrenal": True}]}},
            {"name": "b", "action": "skip", "when": {"any": []}, "wen": 1},
            "record everything",
        ],
        "allday": True,
    }
    assert [(fault.path, fault.code) for fault in faults_of(document)] == [
        ("allday", "unknown_field"),
        ("rules.0.action", "bad_value"),
        ("rules.0.when.internal", "wrong_type"),
        ("rules.1.when", "missing"),
        ("rules.1.name", "empty"),
        ("rules.2.when.all.0.title.matches", "bad_pattern"),
        ("rules.2.when.all.1.intrenal", "unknown_fact"),
        ("rules.3.wen", "unknown_field"),
        ("rules.3.when.any", "empty"),
        ("rules.4", "wrong_type"),
        ("rules.2.name", "duplicate_name"),
    ]


@pytest.mark.parametrize(
    ("when", "path", "code", "says"),
    [
        ({"intrenal": True}, "intrenal", "unknown_fact", "did you mean 'internal'?"),
        ({"attendee_domain": {"any_of": ["x.com"]}}, "attendee_domain", "unknown_fact", "'attendee_domains'"),
        ({"and": []}, "and", "unknown_fact", "there is no fact 'and'"),
        ({"internal": True, "external": True}, "", "several_keys", 'join them with "all" or "any"'),
        ({}, "", "empty", "names one fact"),
        ([], "", "wrong_type", "expected a predicate object"),
        (None, "", "wrong_type", "found null"),
        ({"all": []}, "all", "empty", "at least one"),
        ({"any": []}, "any", "empty", "at least one"),
        ({"all": {"internal": True}}, "all", "wrong_type", "expected a list of predicates, found an object"),
        ({"not": [{"internal": True}]}, "not", "wrong_type", "found a list"),
        ({"not": {}}, "not", "empty", "names one fact"),
        ({"always": False}, "always", "bad_value", 'write {"not": {"always": true}}, or leave the rule out'),
        ({"not": {"always": False}}, "not.always", "bad_value", '{"always": true} matches every event'),
        ({"always": 1}, "always", "wrong_type", "expected true, found a number"),
        ({"always": "true"}, "always", "wrong_type", "expected true, found a text"),
        ({"always": None}, "always", "wrong_type", "found null"),
        ({"always": []}, "always", "wrong_type", "found a list"),
        ({"always": True, "internal": True}, "", "several_keys", "one key at a time"),
        ({"alway": True}, "alway", "unknown_fact", "did you mean 'always'?"),
        ({"internal": "true"}, "internal", "wrong_type", "expected true or false, found a text"),
        ({"internal": 1}, "internal", "wrong_type", "expected true or false, found a number"),
        ({"internal": None}, "internal", "wrong_type", "found null"),
        ({"attendee_count": "3"}, "attendee_count", "wrong_type", "expected a number, or an object"),
        ({"attendee_count": True}, "attendee_count", "wrong_type", "found a truth value"),
        ({"attendee_count": {"min": 3}}, "attendee_count.min", "unknown_test", "one of eq, ne, gt"),
        ({"attendee_count": {"gte": "3"}}, "attendee_count.gte", "wrong_type", "expected a number"),
        ({"attendee_count": {"gte": None}}, "attendee_count.gte", "wrong_type", "found null"),
        ({"attendee_count": {}}, "attendee_count", "empty", "at least one of"),
        ({"attendee_count": 1e300}, "attendee_count", "out_of_range", "expected a number from"),
        ({"attendee_count": float("nan")}, "attendee_count", "out_of_range", "expected a number from"),
        ({"attendee_count": 10**400}, "attendee_count", "out_of_range", "expected a number from"),
        ({"attendee_count": -1}, "attendee_count", "bad_value", "a whole number from 0 on, and never '-1'"),
        ({"attendee_count": 2.5}, "attendee_count", "bad_value", "never '2.5'"),
        ({"external_count": {"eq": 0.5}}, "external_count.eq", "bad_value", "never '0.5'"),
        ({"external_count": {"ne": -3}}, "external_count.ne", "bad_value", "never '-3'"),
        ({"title": 5}, "title", "wrong_type", "expected a text, or an object"),
        ({"title": ["a"]}, "title", "wrong_type", "found a list"),
        ({"title": {"contain": "a"}}, "title.contain", "unknown_test", "did you mean 'contains'?"),
        ({"title": {"contains": ""}}, "title.contains", "empty", "not empty"),
        ({"title": {"contains": "x" * 501}}, "title.contains", "too_long", "at most 500 characters"),
        ({"title": {"matches": ""}}, "title.matches", "empty", "not empty"),
        ({"title": {"matches": "x" * 201}}, "title.matches", "too_long", "at most 200 characters"),
        ({"title": {"matches": "a(?=b)"}}, "title.matches", "bad_pattern", "invalid perl operator: (?="),
        ({"title": {"matches": "*"}}, "title.matches", "bad_pattern", "no argument for repetition operator"),
        ({"title": {"matches": r"(a)\1"}}, "title.matches", "bad_pattern", "invalid escape sequence"),
        ({"title": {"matches": r"(?:.?){900}z"}}, "title.matches", "bad_pattern", "pattern too large"),
        ({"title": {"matches": r"(?:\pL{30}){8}1"}}, "title.matches", "bad_pattern", "too large"),
        ({"title": {"in": []}}, "title.in", "empty", "at least one"),
        ({"title": {"in": "a"}}, "title.in", "wrong_type", "expected a list of texts"),
        ({"title": {"in": ["a", 1]}}, "title.in.1", "wrong_type", "expected a text"),
        ({"title": {"in": ["a"] * 201}}, "title.in", "too_many", "at most 200 texts"),
        ({"title": "a\0b"}, "title", "bad_character", "U+0000"),
        ({"title": "a\ud800b"}, "title", "bad_character", "lone surrogates"),
        ({"title": "$100 deal"}, "title", "bad_attribute", 'write "$$"'),
        ({"title": {"matches": "$"}}, "title.matches", "bad_attribute", "attribute"),
        ({"platform": "zom"}, "platform", "bad_value", "did you mean 'zoom'?"),
        ({"visibility": {"in": ["secret"]}}, "visibility.in.0", "bad_value", "one of default, public"),
        ({"response": "yes"}, "response", "bad_value", "one of accepted, tentative"),
        ({"attendee_domains": "x.com"}, "attendee_domains", "wrong_type", '{"any_of": ["…"]}'),
        ({"attendee_domains": ["x.com"]}, "attendee_domains", "wrong_type", "found a list"),
        ({"attendee_domains": {"in": ["x.com"]}}, "attendee_domains.in", "unknown_test", "any_of, all_of"),
        (
            {"attendee_domains": {"any_of": ["bob@x.com"]}},
            "attendee_domains.any_of.0",
            "bad_domain",
            "attendee_emails",
        ),
        ({"attendee_domains": {"any_of": ["a b.com"]}}, "attendee_domains.any_of.0", "bad_domain", "a domain"),
        ({"attendee_domains": {"any_of": ["@"]}}, "attendee_domains.any_of.0", "bad_domain", "a domain"),
        ({"organizer_domain": "x..com"}, "organizer_domain", "bad_domain", "a domain"),
        (
            {"attendee_emails": {"any_of": ["@x.com"]}},
            "attendee_emails.any_of.0",
            "bad_address",
            "attendee_domains",
        ),
        ({"attendee_emails": {"none_of": ["ana"]}}, "attendee_emails.none_of.0", "bad_address", "an address"),
        ({"organizer_email": ""}, "organizer_email", "bad_address", "an address"),
        ({"start": "09:00"}, "start", "wrong_type", "found a text"),
        ({"start": {}}, "start", "empty", "at least one of"),
        ({"start": {"timezone": "Europe/Berlin"}}, "start", "empty", "a time zone alone tests nothing"),
        ({"start": {"from": "9:00"}}, "start.from", "bad_time", "HH:MM"),
        ({"start": {"from": "25:00"}}, "start.from", "bad_time", "HH:MM"),
        ({"start": {"from": "24:00"}}, "start.from", "bad_time", "HH:MM"),
        ({"start": {"to": 17}}, "start.to", "bad_time", "HH:MM"),
        ({"start": {"to": "١٧:٠٠"}}, "start.to", "bad_time", "HH:MM"),
        ({"start": {"from": "09:00", "to": "09:00"}}, "start.to", "empty", "the window is empty"),
        ({"start": {"weekdays": []}}, "start.weekdays", "empty", "at least one"),
        ({"start": {"weekdays": ["monday"]}}, "start.weekdays.0", "bad_weekday", "mon, tue, wed"),
        ({"start": {"weekdays": ["mon"] * 8}}, "start.weekdays", "too_many", "at most 7"),
        (
            {"start": {"from": "09:00", "timezone": "europe/berlin"}},
            "start.timezone",
            "bad_timezone",
            "did you mean 'Europe/Berlin'?",
        ),
        ({"start": {"from": "09:00", "timezone": "../etc/passwd"}}, "start.timezone", "bad_timezone", "IANA"),
        ({"start": {"from": "09:00", "timezone": "America"}}, "start.timezone", "bad_timezone", "IANA"),
        ({"start": {"from": "09:00", "timezone": "Factory"}}, "start.timezone", "bad_timezone", "IANA"),
        ({"start": {"from": "09:00", "timezone": "localtime"}}, "start.timezone", "bad_timezone", "IANA"),
        ({"start": {"from": "09:00", "zone": "UTC"}}, "start.zone", "unknown_test", "'timezone'"),
    ],
)
def test_a_bad_predicate_is_refused_with_path_code_and_reason(when: object, path: str, code: str, says: str) -> None:
    fault = fault_of(when)
    assert (fault.path, fault.code) == (path, code)
    assert says in fault.message


@pytest.mark.parametrize(
    "when",
    [
        {"attendee_count": 2.0},
        {"attendee_count": {"eq": 0, "ne": 3.0}},
        {"external_count": {"gt": 2.5}},
        {"attendee_count": {"gte": -1, "lt": 0.5}},
        {"duration_minutes": 22.5},
        {"duration_minutes": {"eq": -5}},
    ],
)
def test_whole_numbers_bounds_and_durations_are_taken(when: dict[str, Any]) -> None:
    assert parse_rule_set({"rules": [rule(when)]}).document()["rules"][0]["when"] == when


def test_predicates_nest_eight_deep_and_no_deeper() -> None:
    parse_rule_set({"rules": [rule(nested(8))]})
    assert fault_of(nested(9)) == Fault(".".join(["not"] * 8), "too_deep", "predicates nest at most 8 deep")


def test_a_predicate_thousands_deep_is_refused_like_any_other() -> None:
    assert fault_of(nested(5_000)).code == "too_deep"


def test_a_rule_set_has_at_most_a_hundred_rules() -> None:
    rules = [rule({"internal": True}, name=f"rule {number}") for number in range(101)]
    assert len(parse_rule_set({"rules": rules[:100]}).rules) == 100
    assert [fault.code for fault in faults_of({"rules": rules})] == ["too_many"]


def test_a_rule_set_has_at_most_five_hundred_predicates() -> None:
    rules = [rule({"all": [{"internal": True}] * 99}, name=f"rule {number}") for number in range(5)]
    assert len(parse_rule_set({"rules": rules}).rules) == 5
    rules.append(rule({"internal": True}, name="one more"))
    assert [(fault.path, fault.code) for fault in faults_of({"rules": rules})] == [("rules.5.when", "too_many")]


def test_the_patterns_of_a_set_are_bounded_together() -> None:
    rules = [rule({"title": {"matches": ".{0,190}x"}}, name=f"rule {number}") for number in range(30)]
    parse_rule_set({"rules": rules[:5]})
    assert [fault.code for fault in faults_of({"rules": rules})] == ["too_many"]


def test_the_pattern_that_passes_the_bound_is_named_and_none_after_it_is_compiled() -> None:
    rules = [rule({"title": {"matches": ".{0,190}x"}}, name=f"rule {number}") for number in range(7)]
    rules.append(rule({"title": {"matches": "("}}, name="never looked at"))
    (fault,) = faults_of({"rules": rules})
    assert (fault.path, fault.code) == ("rules.5.when.title.matches", "too_many")
    assert "more than 10000 steps together" in fault.message


def test_a_rule_set_that_was_stored_before_a_limit_became_tighter_still_decides() -> None:
    document = {"rules": [rule({"title": {"matches": "(?:ab|cd){60}x"}}, name=f"rule {n}") for n in range(60)]}
    assert faults_of(document)[-1].code == "too_many"
    compiled = compile_rules([RuleLayer(stored_rule_set(document), "rsv_1", Layer.USER)])
    assert len(compiled.rules) == 60


def test_patterns_that_are_too_large_each_count_towards_the_bound() -> None:
    rules = [rule({"title": {"matches": "(?:.?){900}z"}}, name=f"rule {number}") for number in range(100)]
    assert [fault.code for fault in faults_of({"rules": rules})][-1] == "too_many"
    assert len(faults_of({"rules": rules})) < 10


def test_a_hundred_rules_with_a_pattern_each_are_taken() -> None:
    pattern = r"\b(doctor|dentist|therapy|performance review|grievance %d)\b"
    rules = [rule({"title": {"matches": pattern % number}}, name=f"rule {number}") for number in range(100)]
    assert len(parse_rule_set({"rules": rules}).rules) == 100


def test_of_more_than_a_hundred_faults_the_last_entry_says_that_there_are_more() -> None:
    rules = [rule({"all": [{"intrenal": True}] * 40}, name=f"rule {number}") for number in range(5)]
    faults = faults_of({"rules": rules})
    assert len(faults) == 100
    assert faults[-1] == Fault("", "more_faults", "there are more faults; the first 99 are listed")


def test_a_hundred_faults_are_all_told() -> None:
    rules = [rule({"all": [{"intrenal": True}] * 50}, name=f"rule {number}") for number in range(2)]
    assert [fault.code for fault in faults_of({"rules": rules})] == ["unknown_fact"] * 100


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", 7, None])
def test_a_bad_name_is_refused(name: object) -> None:
    document = {"rules": [{"name": name, "action": "skip", "when": {"internal": True}}]}
    assert [fault.path for fault in faults_of(document)] == ["rules.0.name"]


def test_names_that_differ_in_outer_space_only_are_the_same() -> None:
    document = {"rules": [rule({"internal": True}, name="a"), rule({"internal": True}, name=" a ")]}
    (fault,) = faults_of(document)
    assert (fault.path, fault.code) == ("rules.1.name", "duplicate_name")
    assert "rules.0" in fault.message


def test_a_thousand_unknown_fields_are_told_briefly() -> None:
    assert len(faults_of({"rules": [], **{f"x{number}": 1 for number in range(1000)}})) == 20


def test_a_document_has_the_same_faults_whichever_way_it_comes_in() -> None:
    document = {"rules": [{"name": "{a}", "action": "skip", "when": {"all": [{"titel": "x"}, {"internal": 0}]}}]}
    with pytest.raises(ValidationError) as refusal:
        RuleSetBody.model_validate(document)
    through_pydantic = [(error["loc"], error["type"], error["msg"]) for error in refusal.value.errors()]
    assert through_pydantic == [(found.place, found.code.value, found.message) for found in check_document(document)]


def test_braces_in_a_message_stay_braces() -> None:
    with pytest.raises(ValidationError) as refusal:
        RuleSetBody.model_validate({"rules": [rule({"title": {"matches": "a{1001}"}})]})
    assert "{1001}" in refusal.value.errors()[0]["msg"]


def test_the_first_fault_is_in_the_summary() -> None:
    with pytest.raises(InvalidInput, match=r"rules\.0\.when\.x: there is no fact 'x' \(and 1 more\)"):
        parse_rule_set({"rules": [rule({"x": 1}), rule({"y": 1}, name="b")]})
