"""The command line: what goes in, what comes out, and which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from meetbot.cli import app

ROOT = Path(__file__).parents[2]
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


def test_rules_evaluate_takes_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(RULES), "utf-8-sig")
    code, (answer,) = run("rules", "evaluate", str(path), lines=[LINE])
    assert (code, answer["rule"]) == (0, "internal")


@pytest.mark.parametrize(
    ("content", "place"),
    [(b'{"rules": [\n  {"name" "x"}]}', "line 2, column 11"), (b'{"rules": "\xff"}', "byte 12 is not UTF-8")],
)
def test_rules_evaluate_names_the_place_of_a_json_error(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(content)
    answer = CliRunner().invoke(app, ["rules", "evaluate", str(path)], input="")
    assert answer.exit_code == 2
    assert place in answer.stderr


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "<&-"])
@pytest.mark.parametrize("arguments", ["links", "rules evaluate $0"])
def test_a_stream_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, redirection: str, arguments: str) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(RULES))
    command = f'"$1" -c "from meetbot.cli import main; main()" {arguments} {redirection}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, str(path), sys.executable],
        input=json.dumps(LINE | {"provider": "google"}) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("meetbot: ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    lines = (json.dumps({"provider": "google", "event": {}}) + "\n") * 5_000
    command = '"$0" -c "from meetbot.cli import main; main()" links | head -n 1'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], input=lines, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_creating_a_tenant_without_a_stack_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    answer = CliRunner().invoke(app, ["tenants", "create", "Acme", "--json", "--state", str(tmp_path)])
    assert answer.exit_code == 2
    assert "meetbot dev" in answer.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["worker.py"],
        ["-m", "uvicorn", "api.app:app"],
        ["-c", "from meetbot.cli import main; main()", "tenants", "create", "A"],
    ],
    ids=["worker", "api", "command"],
)
def test_a_faulty_setting_is_said_in_one_line_with_the_variables_name(command: list[str], tmp_path: Path) -> None:
    state = ["--state", str(tmp_path)] if "tenants" in command else []
    done = subprocess.run(
        [sys.executable, *command, *state],
        cwd=ROOT,
        env={**os.environ, "MEETBOT_REGION": "mars"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "MEETBOT_REGION: Input should be 'eu' or 'us'\n" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_doctor_names_a_faulty_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from meetbot.cli import main; main()", "doctor", "--state", str(tmp_path)],
        env={**os.environ, "MEETBOT_REGION": "mars"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "configuration: MEETBOT_REGION: Input should be 'eu' or 'us'\n")


def test_an_api_without_a_database_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "api.app:app"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "", "MEETBOT_ENV": "development"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "DATABASE_URL is not set" in done.stderr


@pytest.mark.parametrize("arguments", [("tenants", "erase", "ten_a"), ("erasures", "replay")])
def test_what_cannot_be_undone_takes_a_yes(arguments: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, list(arguments))
    assert answer.exit_code == 2
    assert "say --yes" in answer.stderr


def test_a_ledger_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        answer = CliRunner().invoke(app, ["erasures", "replay", str(path), "--yes"])
        assert answer.exit_code == 2
        assert f"cannot use {path}" in answer.stderr
