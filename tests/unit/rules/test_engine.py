"""Layers, versions, facts and the order of reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from meetbot.domain.event import LONGEST_TITLE, Attendee, Event, Response
from meetbot.rules import (
    Decision,
    DecisionContext,
    Layer,
    Outcome,
    Override,
    ReasonCode,
    RuleLayer,
    compile_rules,
    decide,
    parse_rule_set,
)
from tests.unit.rules.shared import EVERYTHING, OWNER, case, decided, matches, rule


def layer(source: Layer, *rules: dict[str, object], all_day: bool = False) -> RuleLayer:
    return RuleLayer(parse_rule_set({"rules": list(rules), "all_day": all_day}), f"rsv_{source}", source)


def decided_by(*layers: RuleLayer, event: Mapping[str, object] | None = None) -> Decision:
    return decide(*case(event), compile_rules(layers))


def test_a_decision_names_rule_version_and_layer() -> None:
    decision = decided_by(layer(Layer.USER), layer(Layer.DEFAULT, rule(EVERYTHING, name="all")))
    assert (decision.rule, decision.rule_set_version, decision.layer) == ("all", "rsv_default", "default")


def test_rules_locked_before_decide_before_the_calendar_user_s() -> None:
    decision = decided_by(
        layer(Layer.LOCKED_BEFORE, rule({"internal": True}, "skip")),
        layer(Layer.USER, rule(EVERYTHING)),
    )
    assert (decision.outcome, decision.layer) == (Outcome.SKIP, "locked_before")


def test_rules_locked_after_decide_what_no_other_rule_did() -> None:
    decision = decided_by(
        layer(Layer.USER, rule({"external": True})),
        layer(Layer.DEFAULT, rule({"external": True})),
        layer(Layer.LOCKED_AFTER, rule({"internal": True}, name="locked_after")),
    )
    assert (decision.outcome, decision.rule) == (Outcome.RECORD, "locked_after")


def test_two_layers_may_have_rules_of_the_same_name() -> None:
    decision = decided_by(layer(Layer.USER, rule({"external": True})), layer(Layer.DEFAULT, rule({"internal": True})))
    assert (decision.rule, decision.layer) == ("the rule", "default")


def test_without_a_match_the_decision_names_the_set_that_was_asked() -> None:
    decision = decided_by(
        layer(Layer.LOCKED_BEFORE, rule({"external": True})),
        layer(Layer.USER, rule({"external": True})),
    )
    assert (decision.reason, decision.rule) == (ReasonCode.NO_RULE_MATCHED, None)
    assert (decision.rule_set_version, decision.layer) == ("rsv_user", "user")


def test_a_decision_without_asking_rules_names_no_set() -> None:
    decision = decided_by(layer(Layer.USER, rule(EVERYTHING)), event={"meeting_url": None})
    assert (decision.reason, decision.rule_set_version) == (ReasonCode.NO_MEETING_URL, None)


def test_without_layers_nothing_matches() -> None:
    decision = decided_by()
    assert (decision.outcome, decision.reason, decision.rule_set_version) == (
        Outcome.SKIP,
        ReasonCode.NO_RULE_MATCHED,
        None,
    )


def test_each_layer_says_for_itself_whether_it_includes_all_day_events() -> None:
    all_day = {"all_day": True}
    own = layer(Layer.USER, rule({"external": True}))
    after = layer(Layer.LOCKED_AFTER, rule(EVERYTHING), all_day=True)
    assert decided_by(own, after, event=all_day).layer == "locked_after"
    assert decided_by(own, event=all_day).reason is ReasonCode.ALL_DAY


def test_the_first_match_decides_on_an_all_day_event_too() -> None:
    silent = layer(Layer.USER, rule(EVERYTHING))
    including = layer(Layer.LOCKED_AFTER, rule(EVERYTHING), all_day=True)
    decision = decided_by(silent, including, event={"all_day": True})
    assert (decision.outcome, decision.reason, decision.rule) == (Outcome.SKIP, ReasonCode.ALL_DAY, None)
    assert decided_by(including, silent, event={"all_day": True}).layer == "locked_after"


def test_an_all_day_event_cannot_jump_over_a_rule_that_skips() -> None:
    before = layer(Layer.LOCKED_BEFORE, rule({"internal": True}, "skip"))
    decision = decided_by(before, layer(Layer.USER, rule(EVERYTHING), all_day=True), event={"all_day": True})
    assert (decision.outcome, decision.layer) == (Outcome.SKIP, "locked_before")


def test_an_override_names_no_rule() -> None:
    decision = decided(rule(EVERYTHING), override="record")
    assert (decision.outcome, decision.rule, decision.layer) == (Outcome.RECORD, None, None)


def test_the_facts_are_plain_json_without_titles_names_and_addresses() -> None:
    attendees = [
        {"email": "ana@acme.com", "name": "Ana Secret"},
        {"email": "bob@eu.customer.com", "name": "Bob Secret"},
    ]
    decision = decided(rule(EVERYTHING), event={"title": "Secret", "attendees": attendees})
    assert decision.facts == {
        "internal": False,
        "external": True,
        "one_to_one": False,
        "attendee_count": 3,
        "external_count": 1,
        "attendees_complete": True,
        "attendee_domains": ["acme.com", "eu.customer.com"],
        "organizer_domain": "acme.com",
        "is_organizer": True,
        "response": "accepted",
        "recurring": False,
        "all_day": False,
        "duration_minutes": 60,
        "platform": "google_meet",
        "provider": "google",
        "visibility": "default",
    }
    text = json.dumps(decision.facts)
    assert "Secret" not in text
    assert "@" not in text


def test_skipped_events_have_their_facts_too() -> None:
    assert decided(event={"meeting_url": None}).facts["attendee_count"] == 2


def test_the_facts_name_attributes_that_rules_want_and_the_user_lacks() -> None:
    when = {
        "all": [{"organizer_email": "$boss"}, {"not": {"attendee_domains": {"any_of": ["$accounts", "$$x.com"[1:]]}}}]
    }
    decision = decided(rule(when), attributes={"boss": "b@acme.com"})
    assert decision.facts["missing_attributes"] == ["accounts", "x.com"]


def test_the_facts_of_a_huge_meeting_stay_small() -> None:
    attendees = [{"email": f"p@d{number}.example"} for number in range(1000)]
    facts = decided(event={"attendees": attendees}).facts
    assert facts["attendee_count"] == 1001
    assert len(json.dumps(facts)) < 5_000


def test_facts_survive_what_a_database_refuses() -> None:
    event, context = case()
    hostile = tuple(Attendee(email) for email in ("a@x\0.com", "b@\ud800.com", "c@" + "d" * 100_000, "\0", "\ud800@y"))
    facts = decide(replace(event, attendees=hostile), context, compile_rules([])).facts
    text = json.dumps(facts, ensure_ascii=False)
    assert text.encode()
    assert "\\u0000" not in text
    assert len(text) < 2_000


def test_an_event_without_times_has_ended_for_us() -> None:
    event, context = case()
    for times in ({"start": None}, {"end": None}, {"start": None, "end": None}):
        decision = decide(replace(event, **times), context, compile_rules([]))  # type: ignore[arg-type]
        assert decision.reason is ReasonCode.ENDED


def test_a_context_may_serve_many_events_and_decides_each_for_itself() -> None:
    rules = compile_rules([layer(Layer.USER, rule({"attendee_emails": {"any_of": ["$boss"]}}))])
    event, _ = case({"attendees": [{"email": "boss@acme.com"}]})
    other, _ = case({"attendees": [{"email": "ana@acme.com"}]})
    context = _context({"boss": "boss@acme.com"})
    assert [decide(each, context, rules).outcome for each in (event, other, event)] == ["record", "skip", "record"]
    assert decide(event, _context({"boss": "ana@acme.com"}), rules).outcome == "skip"


def test_a_context_with_another_override_is_otherwise_the_same() -> None:
    event, context = case()
    rules = compile_rules([layer(Layer.USER, rule(EVERYTHING))])
    skipped = context.with_override(Override.SKIP)
    assert decide(event, skipped, rules).reason is ReasonCode.OVERRIDE_SKIP
    assert decide(event, skipped.with_override(None), rules).reason is ReasonCode.RULE_MATCHED
    assert skipped.with_override(None) == context


def test_a_context_with_other_attributes_forgets_what_it_knew() -> None:
    event, context = case({"organizer": {"email": "boss@acme.com"}}, attributes={"boss": "boss@acme.com"})
    rules = compile_rules([layer(Layer.USER, rule({"organizer_email": "$boss"}))])
    assert decide(event, context, rules).outcome == "record"
    assert decide(event, replace(context, attributes={"boss": "ana@acme.com"}), rules).outcome == "skip"


def test_the_owner_s_answer_comes_from_the_event_not_from_the_list() -> None:
    event, context = case()
    declined: Event = replace(event, owner_response=Response.DECLINED)
    assert decide(declined, context, compile_rules([])).reason is ReasonCode.OWNER_DECLINED


_SLOW_PATTERNS = [f"a[ab]{{75}}{number}c" for number in range(100)]


def _slow_layer(action: str, source: Layer) -> RuleLayer:
    rules = [
        rule({"title": {"matches": pattern}}, action, f"{source} {number}")
        for number, pattern in enumerate(_SLOW_PATTERNS)
    ]
    return RuleLayer(parse_rule_set({"rules": rules}), "1", source)


@pytest.mark.parametrize(("letters", "rule_name"), [(200, None), (900, "locked_after 0")])
def test_what_patterns_may_cost_holds_for_all_layers_together(letters: int, rule_name: str | None) -> None:
    layers = [
        _slow_layer("record", Layer.LOCKED_BEFORE),
        _slow_layer("record", Layer.USER),
        _slow_layer("skip", Layer.LOCKED_AFTER),
    ]
    event, context = case({"title": "a" * letters})
    assert decide(event, context, compile_rules(layers)).rule == rule_name
    alone = decide(event, context, compile_rules(layers[:1]))
    assert (alone.outcome, alone.rule) == ("skip", None)


def test_a_title_too_long_to_search_is_undecided() -> None:
    long_title = {"title": "x" * 200_000}
    assert decided(rule({"title": {"matches": "x"}}), event=long_title).outcome == "skip"
    skipping = rule({"title": {"matches": "therapy"}}, "skip", "private")
    assert decided(skipping, rule(EVERYTHING), event=long_title).rule == "private"


@pytest.mark.parametrize("length", [LONGEST_TITLE - 1, LONGEST_TITLE, LONGEST_TITLE + 1])
def test_what_a_cut_title_does_not_say_is_in_doubt(length: int) -> None:
    in_doubt = length == LONGEST_TITLE
    event = {"title": "privileged".ljust(length, "x")}
    for test in ({"contains": "therapy"}, {"matches": "therapy"}):
        skipping = rule({"title": test}, "skip", "no")
        assert (decided(skipping, rule(EVERYTHING), event=event).rule == "no") is in_doubt
        assert not matches({"title": test}, event)
        assert matches({"not": {"title": test}}, event) is not in_doubt
    assert matches({"title": {"contains": "privileged"}}, event)
    assert matches({"title": {"matches": "x$"}}, event) is not in_doubt
    assert not matches({"title": "privileged"}, event)


def test_a_decision_in_doubt_says_that_the_title_is_not_all_of_it() -> None:
    named = rule({"title": {"contains": "therapy"}})
    assert decided(named, event={"title": "x" * LONGEST_TITLE}).facts["title_complete"] is False
    assert "title_complete" not in decided(named).facts


def test_a_decision_about_what_is_no_meeting_says_so() -> None:
    decision = decided(rule(EVERYTHING), event={"is_meeting": False})
    assert (decision.reason, decision.facts["is_meeting"]) == (ReasonCode.NO_MEETING_URL, False)
    assert "is_meeting" not in decided(rule(EVERYTHING)).facts


def test_an_override_records_what_is_no_meeting_and_still_says_so() -> None:
    decision = decided(event={"is_meeting": False}, override="record")
    assert (decision.reason, decision.facts["is_meeting"]) == (ReasonCode.OVERRIDE_RECORD, False)


def _context(attributes: dict[str, str]) -> DecisionContext:
    return DecisionContext(OWNER, ("acme.com",), attributes, datetime(2026, 3, 2, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    "address",
    [
        "b@evil.com .acme.com",
        "b@evil.com/.acme.com",
        "b@evil.com>.acme.com",
        "b@x\0.acme.com",
        "b@x\n.acme.com",
        "b@x\t.acme.com",
        "b@x\u2028.acme.com",
        "b@\tacme.com",
        "b@\N{NO-BREAK SPACE}acme.com",
        "b\t@acme.com",
        "b\n@acme.com",
        "b\0@acme.com",
        "b@.acme.com",
        "b@acme..com.acme.com",
        "b@" + "x" * 64 + ".acme.com",
    ],
)
def test_an_address_without_a_real_domain_is_neither_internal_nor_external(address: str) -> None:
    event = {"attendees": [{"email": address}]}
    assert not matches({"internal": True}, event)
    assert not matches({"external": True}, event)


@pytest.mark.parametrize(
    "address", ["b@eu.acme.com", "B@ACME.com.", " b@acme.com\n", '"b c"@acme.com', "b@x_y.acme.com"]
)
def test_who_is_under_an_internal_domain_is_internal_however_it_is_written(address: str) -> None:
    assert matches({"internal": True}, {"attendees": [{"email": address}]})


def test_a_rule_that_skips_a_domain_finds_it_at_the_end_of_a_malformed_address_too() -> None:
    skipping = rule({"attendee_domains": {"any_of": ["lawfirm.example"]}}, "skip", "lawyers")
    event = {"attendees": [{"email": "b@x/.lawfirm.example"}]}
    assert decided(skipping, rule(EVERYTHING, name="all"), event=event).rule == "lawyers"


@pytest.mark.parametrize(
    "test", [{"matches": "^hr@"}, {"contains": "hr@acme"}, {"matches": r"hr\+2026@"}, {"in": ["hr@acme.com"]}]
)
@pytest.mark.parametrize("organizer", ["hr+2026@acme.com", "HR+2026@Acme.com"])
def test_an_organiser_is_found_with_and_without_the_tag(test: dict[str, object], organizer: str) -> None:
    assert matches({"organizer_email": test}, {"organizer": {"email": organizer}})


def test_a_tag_and_a_domain_of_two_spellings_are_told_apart_together() -> None:
    event = {"organizer": {"email": "hr+2026@xn--mnchen-3ya.de"}}
    assert matches({"organizer_email": {"matches": "^hr@münchen"}}, event)
    assert matches({"organizer_email": {"contains": "hr+2026@münchen"}}, event)
