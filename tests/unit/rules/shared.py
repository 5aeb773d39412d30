"""What the tests of the rules share: an ordinary meeting, and short ways to decide on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from meetbot.domain.event import Event, Provider
from meetbot.providers.google.events import normalise_google
from meetbot.providers.microsoft.events import normalise_microsoft
from meetbot.rules import Decision, DecisionContext, Layer, RuleLayer, compile_rules, decide, parse_rule_set
from meetbot.rules.cli import run
from meetbot.rules.jsonl import read_line

OWNER = "owner@acme.com"
EVERYTHING: dict[str, Any] = {"attendee_count": {"gte": 0}}

ORDINARY_EVENT: dict[str, Any] = {
    "provider": "google",
    "title": "Weekly",
    "organizer": {"email": OWNER},
    "attendees": [{"email": OWNER, "response": "accepted"}, {"email": "ana@acme.com", "response": "accepted"}],
    "start": "2026-03-02T09:00:00Z",
    "end": "2026-03-02T10:00:00Z",
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "meeting_platform": "google_meet",
}

ORDINARY_LINE: dict[str, Any] = {
    "owner_email": OWNER,
    "internal_domains": ["acme.com"],
    "now": "2026-03-02T08:00:00Z",
    "attributes": {},
    "override": None,
}


def line(event: Mapping[str, Any] | None = None, **context: Any) -> dict[str, Any]:
    """The ordinary meeting on the ordinary calendar, but for what is given."""
    return {**ORDINARY_LINE, **context, "event": {**ORDINARY_EVENT, **(event or {})}}


def evaluated(document: object, lines: Iterable[str | bytes]) -> tuple[int, list[dict[str, Any]]]:
    """What `meetbot rules evaluate` answers: its exit code and one object for each line."""
    normalisers = {Provider.GOOGLE: normalise_google, Provider.MICROSOFT: normalise_microsoft}
    written: list[str] = []
    exit_code = run(document, lines, written.append, normalisers=normalisers)
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in written)
    return exit_code, [json.loads(text) for text in written]


def case(event: Mapping[str, Any] | None = None, **context: Any) -> tuple[Event, DecisionContext]:
    return read_line(line(event, **context), {})


def rule(when: Mapping[str, Any], action: str = "record", name: str = "the rule") -> dict[str, Any]:
    return {"name": name, "action": action, "when": when}


def decided(
    *rules: Mapping[str, Any], event: Mapping[str, Any] | None = None, all_day: bool = False, **context: Any
) -> Decision:
    layer = RuleLayer(parse_rule_set({"rules": list(rules), "all_day": all_day}), "rsv_1", Layer.USER)
    return decide(*case(event, **context), compile_rules([layer]))


def matches(when: Mapping[str, Any], event: Mapping[str, Any] | None = None, **context: Any) -> bool:
    """Whether a rule that records with this predicate records the meeting."""
    return decided(rule(when), event=event, **context).rule == "the rule"
