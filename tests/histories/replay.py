"""Replay all golden histories on today's code, and print which do not.

python -m tests.histories.replay
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from meetbot.temporal.client import plugin
from workflows.bot import BotWorkflow
from workflows.calendar_check import CalendarCheckWorkflow
from workflows.calendar_user import CalendarUserWorkflow
from workflows.connect import ConnectWorkflow, OAuthAppCheckWorkflow
from workflows.erasure import ErasureWorkflow
from workflows.webhook import WebhookWorkflow

FOLDER = Path(__file__).parent
WORKFLOWS: Sequence[type] = (
    BotWorkflow,
    CalendarUserWorkflow,
    ErasureWorkflow,
    WebhookWorkflow,
    ConnectWorkflow,
    OAuthAppCheckWorkflow,
    CalendarCheckWorkflow,
)


def golden_histories(folder: Path = FOLDER) -> Iterator[tuple[str, WorkflowHistory]]:
    """The recorded runs with their names, in the order of the names."""
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        yield path.stem, WorkflowHistory.from_json(document["workflow_id"], document["history"])


async def failures_of(workflows: Sequence[type], histories: Iterable[tuple[str, WorkflowHistory]]) -> dict[str, str]:
    """What each history that does not replay fails with, by its name."""
    names = []

    async def played() -> AsyncIterator[WorkflowHistory]:
        for name, history in histories:
            names.append(name)
            yield history

    failures = {}
    async with Replayer(workflows=workflows, plugins=[plugin()]).workflow_replay_iterator(played()) as results:
        async for result in results:
            if result.replay_failure is not None:
                failures[names[-1]] = f"{type(result.replay_failure).__name__}: {result.replay_failure}"
    return failures


def main() -> int:
    histories = list(golden_histories())
    failures = asyncio.run(failures_of(WORKFLOWS, histories))
    for name, failure in failures.items():
        print(f"{name}: {failure}")
    print(f"{len(histories) - len(failures)} of {len(histories)} replay")
    return 1 if failures else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Temporal's threads may still be there while the interpreter takes itself apart, and then it crashes.
    os._exit(code)
