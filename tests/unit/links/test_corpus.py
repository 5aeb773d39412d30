"""The corpus in tests/corpus/links: events with the link that a person would pick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meetbot.links.cli import run

_CORPUS = Path(__file__).parents[2] / "corpus" / "links"


def _cases() -> Iterator[Any]:
    for file in sorted(_CORPUS.glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            case = json.loads(line)
            name = f"{file.stem}-{number}-{case['provider']}-{case['case'][:60]}"
            yield pytest.param(case, id=name.encode("ascii", "backslashreplace").decode())


@pytest.mark.parametrize("case", list(_cases()))
def test_the_command_line_answers_as_a_person_would(case: dict[str, Any]) -> None:
    answers: list[str] = []
    run([json.dumps({"provider": case["provider"], "event": case["event"]})], answers.append)
    assert json.loads(answers[0]) == case["expected"]


def test_the_corpus_has_all_files_and_a_thousand_cases() -> None:
    sizes = {file.stem: len(file.read_text(encoding="utf-8").splitlines()) for file in _CORPUS.glob("*.jsonl")}
    assert set(sizes) == {"core", "hard", "lookalikes", "none", "robustness"}
    assert sum(sizes.values()) >= 1_000
