"""JSON that says one thing twice is refused, not half read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from meetbot.cli import app
from meetbot.domain.json_objects import parse_json
from meetbot.rules.cli import EXIT_BAD_RULES
from meetbot.rules.validator import check_document


def set_of(when: str, *more: str) -> str:
    fields = ", ".join(('"name": "a"', '"action": "record"', *more, f'"when": {when}'))
    return '{"rules": [{' + fields + "}]}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"rules": [], "rules": []}', "rules"),
        (set_of('{"internal": true}', '"name": "b"'), "rules.0.name"),
        (set_of('{"internal": true}', '"action": "skip"'), "rules.0.action"),
        (set_of('{"internal": true, "internal": false}'), "rules.0.when.internal"),
        (
            set_of('{"all": [{"title": {"contains": "a", "contains": "b"}}]}'),
            "rules.0.when.all.0.title.contains",
        ),
        (set_of('{"attendee_count": {"gt": 1, "gt": 5}}'), "rules.0.when.attendee_count.gt"),
        (set_of('{"start": {"from": "09:00", "from": "10:00"}}'), "rules.0.when.start.from"),
    ],
)
def test_a_key_that_is_there_twice_is_told_with_its_path(text: str, path: str) -> None:
    assert [(found.path, found.code) for found in check_document(parse_json(text))] == [(path, "duplicate_key")]


def test_a_key_may_be_there_once_in_each_object() -> None:
    assert check_document(parse_json(set_of('{"all": [{"internal": true}, {"internal": true}]}'))) == []


def test_a_thousand_repeated_keys_are_told_briefly() -> None:
    keys = ", ".join(f'"x{number % 500}": 1' for number in range(1000))
    findings = check_document(parse_json('{"rules": [], ' + keys + "}"))
    assert sum(found.code == "duplicate_key" for found in findings) == 20


def test_a_rule_set_in_a_file_is_refused_for_a_repeated_key(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text("\N{BYTE ORDER MARK}" + set_of('{"internal": true}', '"action": "skip"'), encoding="utf-8")
    done = CliRunner().invoke(app, ["rules", "evaluate", str(rules)], input="")
    assert done.exit_code == EXIT_BAD_RULES
    assert [fault["path"] for fault in json.loads(done.stdout)["error"]["errors"]] == ["rules.0.action"]
