"""Every line of tests/corpus/rules/providers: a provider's event, and its decision.

`event` replaces parts of an ordinary event; `record_when` is a set of one rule that records.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rules.shared import ORDINARY_LINE, OWNER, evaluated, line, rule

_CORPUS = Path(__file__).parents[2] / "corpus" / "rules" / "providers" / "lines.jsonl"
_CASES = [json.loads(text) for text in _CORPUS.read_text(encoding="utf-8").splitlines()]

_ORDINARY: dict[str, dict[str, Any]] = {
    "google": {
        "id": "e1",
        "summary": "Weekly",
        "organizer": {"email": OWNER, "self": True},
        "attendees": [{"email": OWNER, "self": True, "responseStatus": "accepted"}, {"email": "ana@acme.com"}],
        "start": {"dateTime": "2026-03-02T09:00:00Z"},
        "end": {"dateTime": "2026-03-02T10:00:00Z"},
        "hangoutLink": "https://meet.google.com/abc-defg-hij",
    },
    "microsoft": {
        "id": "e1",
        "subject": "Weekly",
        "organizer": {"emailAddress": {"address": OWNER}},
        "isOrganizer": False,
        "attendees": [{"emailAddress": {"address": "ana@acme.com"}}],
        "start": {"dateTime": "2026-03-02T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-02T10:00:00.0000000", "timeZone": "UTC"},
        "onlineMeeting": {"joinUrl": "https://acme.zoom.us/j/123456789"},
    },
}


def raw_line(provider: str, event: dict[str, Any], **context: Any) -> dict[str, Any]:
    return {**ORDINARY_LINE, **context, "provider": provider, "event": {**_ORDINARY[provider], **event}}


@pytest.mark.parametrize("entry", _CASES, ids=[f"{entry['provider']}: {entry['case']}" for entry in _CASES])
def test_the_decision_is_the_expected_one(entry: dict[str, Any]) -> None:
    context = {name: entry[name] for name in ("override", "calendar_id") if name in entry}
    document = {"rules": [rule(entry["record_when"])], "all_day": entry.get("all_day", False)}
    _, (answer,) = evaluated(document, [json.dumps(raw_line(entry["provider"], entry["event"], **context))])
    assert f"{answer['outcome']} {answer['reason']}" == entry["expect"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"provider": "apple"}, "provider"),
        ({"event": None}, "event"),
        ({"event": {"id": "e1", "recurrence": ["RRULE:FREQ=DAILY"]}}, "event"),
        ({"event": {"summary": "without an id"}}, "event"),
        ({"calendar_id": 5}, "calendar_id"),
        ({"calendar": "primary"}, "calendar"),
    ],
)
def test_a_bad_line_is_told_with_its_path(change: dict[str, Any], path: str) -> None:
    document = {"rules": [rule({"always": True})]}
    _, (answer,) = evaluated(document, [json.dumps({**raw_line("google", {}), **change})])
    assert answer["error"]["path"] == path


def test_a_calendar_is_named_beside_a_provider_only() -> None:
    one = {**line(), "calendar_id": "primary", "provider": None}
    _, (answer,) = evaluated({"rules": []}, [json.dumps(one)])
    assert answer["error"]["path"] == "calendar_id"
