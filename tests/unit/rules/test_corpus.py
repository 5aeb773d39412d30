"""Every line of tests/corpus/rules is one case of the policy.

`record_when` is a set of one rule that records; `skip_when` one that skips, followed by one that records everything.
`event` and the context replace parts of an ordinary meeting. `expect` is outcome, reason and, where it matters, the rule.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rules.shared import EVERYTHING, ORDINARY_LINE, decided, rule

_CORPUS = Path(__file__).parents[2] / "corpus" / "rules"
_CASES = [
    pytest.param(json.loads(text), id=f"{path.stem}:{number}")
    for path in sorted(_CORPUS.glob("*.jsonl"))
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
]


@pytest.mark.parametrize("entry", _CASES)
def test_the_decision_is_the_expected_one(entry: dict[str, Any]) -> None:
    context = {name: entry[name] for name in ORDINARY_LINE if name in entry}
    decision = decided(*_rules(entry), event=entry.get("event"), all_day=entry.get("all_day", False), **context)
    expected = entry["expect"].split(" ", 2)
    found = [decision.outcome, decision.reason, decision.rule]
    assert found[: len(expected)] == expected, entry["case"]


def test_no_case_is_there_twice() -> None:
    names = [case.values[0]["case"] for case in _CASES]  # type: ignore[index]
    assert len(names) == len(set(names))


def test_the_corpus_is_wide() -> None:
    assert len(_CASES) >= 300


def _rules(entry: dict[str, Any]) -> list[dict[str, Any]]:
    if "rules" in entry:
        rules: list[dict[str, Any]] = entry["rules"]
        return rules
    if "skip_when" in entry:
        return [rule(entry["skip_when"], "skip", "no"), rule(EVERYTHING, "record", "everything else")]
    return [rule(entry["record_when"])] if "record_when" in entry else []
