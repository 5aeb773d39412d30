"""Histories recorded by earlier releases replay on today's code, in any process.

And they hold no personal data.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from meetbot.temporal.messages import BotSignal, CalendarUserSignal, WorkflowName
from tests.histories.replay import FOLDER, WORKFLOWS, failures_of, golden_histories
from tests.workflows.altered import AlteredBotWorkflow
from tests.workflows.histories import signals_in

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 100

# The order of sets and of dictionaries' differences hangs on the seed, and every process has another one.
SEEDS = ("0", "1", "2")


def test_every_golden_history_replays_whatever_the_hash_seed() -> None:
    """All at once, each in a process of its own: within one process the seed cannot change."""
    replays = {
        seed: subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.histories.replay"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in SEEDS
    }
    answers = {
        seed: (*replay.communicate(timeout=_PATIENCE_SECONDS), replay.returncode) for seed, replay in replays.items()
    }

    recorded = len(list(FOLDER.glob("*.json")))
    for seed, (output, errors, code) in answers.items():
        assert code == 0, f"with PYTHONHASHSEED={seed}:\n{output}\n{errors[-2000:]}"
        assert output == f"{recorded} of {recorded} replay\n"


def test_a_workflow_that_does_things_in_another_order_does_not_replay() -> None:
    recorded = [(name, history) for name, history in golden_histories() if name.startswith("bot_")][:3]

    failures = asyncio.run(failures_of([AlteredBotWorkflow], recorded))

    assert set(failures) == {name for name, _ in recorded}
    assert all("NondeterminismError" in failure for failure in failures.values())


def test_the_golden_histories_cover_every_workflow_and_signal_and_a_continued_run() -> None:
    types: Counter[str] = Counter()
    signals: set[str] = set()
    for _, history in golden_histories():
        started = history.events[0].workflow_execution_started_event_attributes
        types[started.workflow_type.name] += 1
        types["continued"] += bool(started.continued_execution_run_id)
        signals.update(signals_in(history))

    assert {str(name) for name in WorkflowName} < set(types)
    assert {str(signal) for signal in (*CalendarUserSignal, *BotSignal)} <= signals
    assert types["continued"] > 0
    assert {workflow.__name__ for workflow in WORKFLOWS} == {str(name) for name in WorkflowName}


@pytest.mark.parametrize(
    "event_type",
    [
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    ],
    ids=EventType.Name,
)
def test_the_golden_histories_hold_what_goes_wrong_too(event_type: EventType.ValueType) -> None:
    assert any(event.event_type == event_type for _, history in golden_histories() for event in history.events)


# What must not be in a history: links, addresses, what a provider said, and anything as long as a secret.
_TELLTALE = re.compile(r"://|@|www\.|meet\.example|acme|secret|bearer", re.IGNORECASE)
_SECRET_LENGTH = re.compile(r"[A-Za-z0-9+/=_-]{33,}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_history_tells_no_link_no_address_and_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    payloads = list(payloads_in(json.loads(text)))

    assert payloads
    assert _TELLTALE.search(text) is None
    assert "site-packages" not in text
    for payload in payloads:
        assert _TELLTALE.search(payload) is None
        assert _SECRET_LENGTH.search(_UUID.sub("", payload)) is None


def test_the_search_for_telltales_finds_them() -> None:
    leak = {"payloads": [{"metadata": {}, "data": base64.b64encode(b'{"to": "ada@acme.test"}').decode()}]}

    assert [bool(_TELLTALE.search(payload)) for payload in payloads_in(leak)] == [True]
    assert _SECRET_LENGTH.search("1//0gT4-abcdefghijklmnopqrstuvwxyz012345") is not None


def payloads_in(node: Any) -> Iterator[str]:
    """Return everything that was encoded into the history.

    That is inputs, results, summaries, details and search attributes.
    """
    if isinstance(node, dict):
        if isinstance(node.get("data"), str):
            yield base64.b64decode(node["data"]).decode("utf-8")
        for child in node.values():
            yield from payloads_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from payloads_in(child)
