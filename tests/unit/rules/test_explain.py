"""A decision shows what its rules test, and nothing more about people than that."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meetbot.domain.event import Attendee
from meetbot.rules import Layer, RuleLayer, compile_rules, decide, parse_rule_set
from tests.unit.rules.shared import OWNER, case, decided, rule

_MANAGER = {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]}


def test_skipping_one_to_ones_with_the_manager_can_be_checked_from_the_facts() -> None:
    facts = decided(rule(_MANAGER, action="skip"), attributes={"manager_email": "ana@acme.com", "desk": "7"}).facts
    assert facts["one_to_one"] is True
    assert facts["attendee_emails"] == [OWNER, "ana@acme.com"]
    assert facts["attributes"] == {"manager_email": "ana@acme.com"}


@pytest.mark.parametrize(
    ("when", "name", "shown"),
    [
        ({"title": {"contains": "week"}}, "title", "Weekly"),
        ({"organizer_email": OWNER}, "organizer_email", OWNER),
        ({"calendar_id": "primary"}, "calendar_id", "primary"),
        ({"attendee_emails": {"none_of": ["x@y.com"]}}, "attendee_emails", [OWNER, "ana@acme.com"]),
        ({"start": {"weekdays": ["mon"]}}, "start", {"UTC": "mon 09:00"}),
        ({"start": {"from": "09:00", "timezone": "Europe/Berlin"}}, "start", {"Europe/Berlin": "mon 10:00"}),
        ({"start": {"from": "09:00", "timezone": "$timezone"}}, "start", {"Asia/Tokyo": "mon 18:00"}),
    ],
)
def test_a_fact_is_shown_if_a_rule_names_it_however_deep(when: dict[str, Any], name: str, shown: object) -> None:
    attributes = {"timezone": "Asia/Tokyo"}
    silent = rule({"all_day": True}, name="silent")
    assert name not in decided(silent, attributes=attributes).facts
    deep = rule({"all": [{"any": [{"not": when}, {"recurring": True}]}]}, name="deep")
    assert decided(silent, deep, attributes=attributes).facts[name] == shown


def test_named_facts_are_shown_even_if_no_rule_was_asked() -> None:
    facts = decided(rule({"title": "x"}), event={"meeting_url": None, "start": None, "organizer": None}).facts
    assert facts["title"] == "Weekly"


def test_what_is_not_there_is_shown_as_null() -> None:
    when = {"any": [{"organizer_email": OWNER}, {"start": {"from": "09:00"}}]}
    event = {"organizer": None, "is_organizer": False, "start": None}
    facts = decided(rule(when), event=event).facts
    assert (facts["organizer_email"], facts["start"]) == (None, {"UTC": None})


def test_each_calendar_user_sees_the_own_attributes_with_the_same_rules() -> None:
    rules = compile_rules([RuleLayer(parse_rule_set({"rules": [rule(_MANAGER)]}), "1", Layer.DEFAULT)])
    for manager in ("ana@acme.com", "bob@acme.com"):
        event, context = case(attributes={"manager_email": manager})
        assert decide(event, context, rules).facts["attributes"] == {"manager_email": manager}
    event, context = case()
    assert decide(event, context, rules).facts["missing_attributes"] == ["manager_email"]


def test_one_context_serves_several_rule_sets() -> None:
    event, context = case(attributes={"a": "1", "b": "2"})
    for name in ("a", "b"):
        document = {"rules": [rule({"title": f"${name}"})]}
        rules = compile_rules([RuleLayer(parse_rule_set(document), "1", Layer.USER)])
        assert list(decide(event, context, rules).facts["attributes"]) == [name]  # type: ignore[arg-type]


def test_what_is_shown_is_bounded_and_survives_json_and_a_database() -> None:
    zones = [f"Etc/GMT+{hour}" for hour in range(1, 13)] + [f"Etc/GMT-{hour}" for hour in range(1, 15)]
    named: list[dict[str, Any]] = [{"start": {"from": "09:00", "timezone": zone}} for zone in zones]
    named += [{"title": f"${number}"} for number in "abcdefghij"]
    named += [{"calendar_id": "x"}, {"organizer_email": "x@y.com"}, {"attendee_emails": {"any_of": ["$people"]}}]
    attributes = {"people": ["p" * 900] * 900} | dict.fromkeys("abcdefghij", "\x00�" + "v" * 900)
    event, context = case(attributes=attributes)
    long = "\0\ud800" + "l" * 10_000
    guests = tuple(Attendee(f"{number}-{long}@x.com") for number in range(1000))
    event = replace(event, title=long, calendar_id=long, organizer=Attendee(long), attendees=guests)
    layer = RuleLayer(parse_rule_set({"rules": [rule({"any": named})]}), "1", Layer.USER)
    facts: dict[str, Any] = dict(decide(event, context, compile_rules([layer])).facts)
    text = json.dumps(facts, ensure_ascii=False)
    assert text.encode()
    assert "\\u0000" not in text
    assert json.loads(text) == facts
    assert (len(facts["title"]), len(facts["attendee_emails"]), len(facts["start"])) == (200, 50, 10)
    assert len(text) < 50_000


def test_an_all_day_event_is_shown_with_its_date_s_midnight_in_every_zone() -> None:
    zones = ["America/Los_Angeles", "Asia/Tokyo"]
    rules = [rule({"start": {"weekdays": ["sat"], "timezone": zone}}, name=zone) for zone in zones]
    facts = decided(*rules, event={"start": "2026-03-07", "end": "2026-03-08"}, all_day=True).facts
    assert facts["start"] == dict.fromkeys(zones, "sat 00:00")
