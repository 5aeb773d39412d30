"""The never-record list: what it names, and what beats it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meetbot.domain.decision import Decision, Layer, Outcome, Override, ReasonCode
from meetbot.domain.event import LONGEST_TITLE
from meetbot.rules import RuleLayer, compile_rules, decide, parse_rule_set
from meetbot.rules.never_record import NeverRecord
from tests.unit.rules.shared import EVERYTHING, OWNER, case, rule

ALL = compile_rules([RuleLayer(parse_rule_set({"rules": [rule(EVERYTHING)], "all_day": False}), "rsv_1", Layer.USER)])


def decided(listed: NeverRecord, override: Override | None = None, **event: Any) -> Decision:
    met, context = case(event)
    return decide(met, replace(context, never_record=listed, override=override), ALL)


def with_guest(email: str, response: str = "accepted") -> dict[str, Any]:
    return {"attendees": [{"email": OWNER, "response": "accepted"}, {"email": email, "response": response}]}


@pytest.mark.parametrize(
    ("listed", "event"),
    [
        (NeverRecord(domains=("lawfirm.com",)), with_guest("ada@lawfirm.com")),
        (NeverRecord(domains=("lawfirm.com",)), with_guest("ada@EU.Lawfirm.com")),
        (NeverRecord(domains=("münchen.de",)), with_guest("ada@xn--mnchen-3ya.de")),
        (NeverRecord(domains=("lawfirm.com",)), with_guest("ada@lawfirm.com", "declined")),
        (NeverRecord(domains=("lawfirm.com",)), {"organizer": {"email": "ada@lawfirm.com"}}),
        (NeverRecord(emails=("doctor@clinic.org",)), with_guest("Doctor+x@Clinic.org")),
        (NeverRecord(emails=("Doctor@clinic.org",)), with_guest("doctor@clinic.org")),
        (NeverRecord(title_markers=("[private]",)), {"title": "Talk [PRIVATE]"}),
        (NeverRecord(title_markers=("Gespräch",)), {"title": "GESPRÄCH"}),
    ],
)
def test_the_list_names_people_and_marks_as_rules_compare_them(listed: NeverRecord, event: dict[str, Any]) -> None:
    decision = decided(listed, **event)
    assert (decision.outcome, decision.reason, decision.rule) == (Outcome.SKIP, ReasonCode.NEVER_RECORD, None)


@pytest.mark.parametrize(
    ("listed", "event"),
    [
        (NeverRecord(), with_guest("ada@lawfirm.com")),
        (NeverRecord(domains=("firm.com",)), with_guest("ada@lawfirm.com")),
        (NeverRecord(domains=("eu.lawfirm.com",)), with_guest("ada@lawfirm.com")),
        (NeverRecord(emails=("doctor@clinic.org",)), with_guest("nurse@clinic.org")),
        (NeverRecord(title_markers=("[private]",)), {"title": "private"}),
        (NeverRecord(title_markers=(".*",)), {"title": "Weekly"}),
    ],
)
def test_what_is_only_similar_is_recorded(listed: NeverRecord, event: dict[str, Any]) -> None:
    assert decided(listed, **event).outcome is Outcome.RECORD


@pytest.mark.parametrize(
    ("listed", "doubt"),
    [
        (NeverRecord(emails=("doctor@clinic.org",)), {"attendees_complete": False}),
        (NeverRecord(domains=("clinic.org",)), {"attendees_complete": False}),
        (NeverRecord(title_markers=("[private]",)), {"title": "x" * LONGEST_TITLE}),
    ],
)
def test_in_doubt_nothing_is_recorded(listed: NeverRecord, doubt: dict[str, Any]) -> None:
    met, context = case()
    decision = decide(replace(met, **doubt), replace(context, never_record=listed), ALL)
    assert decision.reason is ReasonCode.NEVER_RECORD


def test_a_hidden_guest_list_matters_only_to_a_list_of_people() -> None:
    met, context = case()
    hidden = replace(met, attendees_complete=False)
    listed = NeverRecord(title_markers=("[private]",))
    assert decide(hidden, replace(context, never_record=listed), ALL).reason is not ReasonCode.NEVER_RECORD


LISTED = NeverRecord(domains=("lawfirm.com",))


def test_an_override_to_record_beats_the_list() -> None:
    decision = decided(LISTED, Override.RECORD, **with_guest("ada@lawfirm.com"))
    assert (decision.outcome, decision.reason) == (Outcome.RECORD, ReasonCode.OVERRIDE_RECORD)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"meeting_url": None, "meeting_platform": None}, ReasonCode.NO_MEETING_URL),
        ({"status": "cancelled"}, ReasonCode.CANCELLED),
        ({"end": "2026-03-02T07:00:00Z", "start": "2026-03-02T06:00:00Z"}, ReasonCode.ENDED),
    ],
)
def test_what_cannot_be_recorded_at_all_says_that_instead(event: dict[str, Any], reason: ReasonCode) -> None:
    assert decided(LISTED, **with_guest("ada@lawfirm.com"), **event).reason is reason
