"""The command line: what goes in, what comes out, and which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from meetbot.cli import app

RULES = {"rules": [{"name": "internal", "action": "record", "when": {"internal": True}}]}
LINE = {
    "event": {
        "title": "Stand-up",
        "organizer": "ada@acme.test",
        "attendees": [{"email": "ada@acme.test", "response": "accepted"}],
        "start": "2026-01-05T09:00:00Z",
        "end": "2026-01-05T09:15:00Z",
        "all_day": False,
        "recurring": False,
        "visibility": "default",
        "meeting_url": "https://meet.google.com/abc-defg-hij",
    },
    "owner_email": "ada@acme.test",
    "internal_domains": ["acme.test"],
    "now": "2026-01-05T08:00:00Z",
}


def run(*arguments: str, lines: list[Any] | None = None) -> tuple[int, list[dict[str, Any]]]:
    text = "\n".join(json.dumps(line) for line in lines or []) + "\n"
    answer = CliRunner().invoke(app, list(arguments), input=text)
    return answer.exit_code, [json.loads(line) for line in answer.stdout.splitlines()]


def test_links_answers_one_line_for_each_line() -> None:
    event = {"hangoutLink": "https://meet.google.com/abc-defg-hij"}
    code, answers = run("links", lines=[{"provider": "google", "event": event}, {"provider": "google", "event": {}}])
    assert code == 0
    assert [answer["platform"] for answer in answers] == ["google_meet", "none"]
    assert answers[1] | {"platform": None} == {"platform": None, "url": None, "meeting_id": None, "passcode": None}


@pytest.mark.parametrize("form", [[], ["--rules"]])
def test_rules_evaluate_decides_about_each_line(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(RULES))
    code, (answer,) = run("rules", "evaluate", *form, str(path), lines=[LINE])
    assert code == 0
    assert (answer["outcome"], answer["reason"], answer["rule"]) == ("record", "rule_matched", "internal")


def test_rules_evaluate_refuses_a_bad_rule_set_with_the_place_of_each_fault(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": [{"name": "x", "action": "record", "when": {"titel": "y"}}]}))
    code, (answer,) = run("rules", "evaluate", str(path), lines=[LINE])
    assert code == 2
    assert [fault["path"] for fault in answer["error"]["errors"]] == ["rules.0.when.titel"]


@pytest.mark.parametrize("content", [None, "{", "[" * 100_000])
def test_rules_evaluate_explains_a_file_it_cannot_read(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "rules.json"
    if content is not None:
        path.write_text(content)
    answer = CliRunner().invoke(app, ["rules", "evaluate", str(path)], input="")
    assert answer.exit_code == 2
    assert "Traceback" not in answer.stderr


def test_creating_a_tenant_without_a_stack_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    answer = CliRunner().invoke(app, ["tenants", "create", "Acme", "--json", "--state", str(tmp_path)])
    assert answer.exit_code == 2
    assert "meetbot dev" in answer.stderr
