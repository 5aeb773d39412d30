"""Every recipe of docs/rules.md does what its sentence says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meetbot.domain.decision import ReasonCode
from meetbot.rules import parse_rule_set, vocabulary
from meetbot.rules.language import EXAMPLE
from tests.unit.rules.shared import OWNER, decided

_PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```json\n(.*?)```", re.DOTALL)
_RECIPES = re.findall(r"^### (\d+)\. (.+?)\n\n```json\n(.*?)```", _PAGE, re.DOTALL | re.MULTILINE)


class Trial(NamedTuple):
    """Events for which the recipe's rule decides, and events for which it does not."""

    matching: list[dict[str, Any]]
    other: list[dict[str, Any]]
    context: dict[str, Any] = {}  # noqa: RUF012 - read only


def guests(*emails: str, **event: Any) -> dict[str, Any]:
    return {"attendees": [{"email": OWNER, "response": "accepted"}, *({"email": email} for email in emails)], **event}


def titled(title: str, **event: Any) -> dict[str, Any]:
    return {"title": title, **event}


def at(start: str, **event: Any) -> dict[str, Any]:
    return {"start": start, "end": "2026-12-31T00:00:00Z", **event}


def organised_by(email: str) -> dict[str, Any]:
    return {"organizer": {"email": email}}


def answered(response: str) -> dict[str, Any]:
    return {**organised_by("ana@acme.com"), "attendees": [{"email": OWNER, "response": response}]}


_ROOM = {"email": "room@acme.com", "resource": True}
_MANAGER = {"attributes": {"manager_email": "boss@acme.com"}}

_TRIALS = {
    1: Trial([guests("ana@acme.com"), guests("ana@eu.acme.com", "bob@acme.com")], [guests("z@customer.com")]),
    2: Trial(
        [guests("boss@acme.com"), {"attendees": [{"email": "Boss+1@acme.com"}, _ROOM]}],
        [guests("ana@acme.com"), guests("boss@acme.com", "ana@acme.com")],
        _MANAGER,
    ),
    3: Trial(
        [guests("z@customer.com"), guests("z@eu.customer.com", "ana@acme.com")],
        [guests("z@evilcustomer.com"), guests("z@customer.com.example"), guests("ana@acme.com")],
    ),
    4: Trial([guests("ana@acme.com", "z@else.example")], [guests("ana@acme.com")]),
    5: Trial([organised_by(OWNER)], [organised_by("ana@acme.com")]),
    6: Trial([answered("accepted")], [answered("tentative"), answered("needsAction")]),
    7: Trial([{"visibility": "private"}, {"visibility": "confidential"}], [{"visibility": "default"}, {}]),
    8: Trial(
        [
            titled("Dentist"),
            titled("Ana: Performance Review Q1"),
            titled("Therapy (private)"),
            titled("Ärztin"),
            titled("Termin ÄRZTIN/Arzt"),
            titled("Größe: Therapie"),
        ],
        [titled("Weekly"), titled("Doctoral thesis"), titled("Zahnärztinnen-Kongress"), titled("Ärzte-Software")],
    ),
    9: Trial([titled("[REC] Weekly"), titled("Weekly [rec]")], [titled("Weekly rec"), titled("Record review")]),
    10: Trial(
        [guests("l@lawfirm.example"), guests("a@uk.auditors.example"), titled("PRIVILEGED: dispute")],
        [guests("l@notlawfirm.example"), titled("Audit preparation")],
    ),
    11: Trial(
        [guests("z@globex.example"), guests("z@eu.initech.example")],
        [guests("z@umbrella.example"), guests("ana@acme.com")],
        {"attributes": {"account_domains": ["globex.example", "@initech.example"]}},
    ),
    12: Trial([guests(*(f"p{n}@acme.com" for n in range(50)))], [guests(*(f"p{n}@acme.com" for n in range(49)))]),
    13: Trial([{"end": "2026-03-02T09:09:59Z"}], [{"end": "2026-03-02T09:10:00Z"}]),
    14: Trial(
        [guests("ana@acme.com", "bob@acme.com", recurring=True)],
        [
            guests("ana@acme.com", "bob@acme.com"),
            guests("ana@acme.com", recurring=True),
            guests("ana@acme.com", "z@customer.com", recurring=True),
        ],
    ),
    15: Trial(
        [at("2026-03-02T23:00:00Z", **guests("z@customer.com"))],
        [
            at("2026-03-02T22:59:00Z", **guests("z@customer.com")),
            at("2026-03-02T23:00:00Z"),
            at("2026-03-07T01:00:00Z", **guests("z@customer.com")),
        ],
        {"attributes": {"timezone": "Asia/Tokyo"}},
    ),
    16: Trial(
        [at("2026-03-07T12:00:00Z"), at("2026-03-02T19:00:00Z"), at("2026-03-03T05:59:00Z")],
        [at("2026-03-02T18:59:00Z"), at("2026-03-03T06:00:00Z")],
    ),
    17: Trial([{"meeting_platform": "zoom"}, {"meeting_platform": "microsoft_teams"}], [{}]),
    18: Trial(
        [titled("Design Workshop", all_day=True)],
        [titled("Holiday", all_day=True), titled("Design workshop", all_day=False)],
    ),
    19: Trial(
        [organised_by("booking@acme.com"), organised_by("Office+x@board.example")],
        [organised_by("mybookings@acme.com"), organised_by("ana@acme.com")],
    ),
    20: Trial(
        [guests("z@customer.com", title="Acme demo"), guests("z@customer.com", title="QBR")],
        [
            guests("z@customer.com", title="Contract"),
            guests("z@else.example", title="Demo"),
            guests("z@customer.com", "procurement@customer.com", title="Demo"),
        ],
    ),
    21: Trial([{}, guests("z@customer.com"), {"attendees": [], "organizer": None}], [{"all_day": True}]),
    22: Trial(
        [guests("z@customer.com"), {"organizer": {"email": OWNER}, "attendees": [{"email": "z@customer.com"}]}],
        [
            {**organised_by("stranger@evil.test"), "attendees": [{"email": OWNER}, {"email": "z@customer.com"}]},
            guests("ana@acme.com"),
        ],
    ),
    23: Trial([{}, guests("z@customer.com")], [{"all_day": True}]),
}


def test_each_recipe_of_the_cookbook_has_its_trial() -> None:
    assert [int(number) for number, _, _ in _RECIPES] == list(range(1, 24)) == sorted(_TRIALS)


@pytest.mark.parametrize(("number", "sentence", "block"), _RECIPES, ids=[sentence for _, sentence, _ in _RECIPES])
def test_a_recipe_does_what_its_sentence_says(number: str, sentence: str, block: str) -> None:
    recipe = json.loads(block)
    trial = _TRIALS[int(number)]
    assert trial.matching
    assert trial.other
    for event in trial.matching:
        decision = decided(recipe, event=event, **trial.context)
        assert (decision.reason, decision.outcome) == (ReasonCode.RULE_MATCHED, recipe["action"]), event
    for event in trial.other:
        decision = decided(recipe, event=event, **trial.context)
        assert decision.reason in (ReasonCode.NO_RULE_MATCHED, ReasonCode.ALL_DAY), event


def test_every_json_block_of_the_page_is_a_rule_or_a_rule_set() -> None:
    for block in _BLOCK.findall(_PAGE):
        document = json.loads(block)
        parse_rule_set(document if "rules" in document else {"rules": [document]})


def test_the_page_opens_with_the_contract_s_example() -> None:
    assert json.loads(_BLOCK.findall(_PAGE)[0]) == EXAMPLE


def test_the_page_names_every_fact_every_choice_and_every_reason() -> None:
    choices = {choice for values in vocabulary.CHOICES.values() for choice in values} - {"none"}
    decided_here = set(ReasonCode) - {ReasonCode.ACCESS_REVOKED, ReasonCode.CANCELLED}
    for word in {*vocabulary.FACTS, *choices, *decided_here}:
        assert f"`{word}`" in _PAGE
