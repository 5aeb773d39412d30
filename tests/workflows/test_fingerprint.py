"""A change of a workflow's commands is noticed at once.

What replay could not bear is not written at all.
"""

from __future__ import annotations

import ast
import difflib
import json
from pathlib import Path

import pytest

from tests.workflows.fingerprint import fingerprints

ROOT = Path(__file__).parents[2]
BASELINE = Path(__file__).with_name("fingerprints.json")
WORKFLOWS = sorted((ROOT / "workflows").glob("*.py"))
REPLAYED = [
    *WORKFLOWS,
    *(
        ROOT / "meetbot" / "domain" / name
        for name in ("plan.py", "sync_slots.py", "identity.py", "webhook_schedule.py")
    ),
    *(
        ROOT / "meetbot" / "temporal" / name
        for name in ("messages.py", "calendar_messages.py", "connect_messages.py", "search_attributes.py")
    ),
]

_WHAT_TO_DO = """
The commands of a workflow changed. Runs that are under way were recorded with the earlier ones and stop for good
("nondeterminism") where the new code commands something else at the same point.

1. Only the source moved, and the order of the commands at run time is the same? Then replay is the proof:
   python -m pytest tests/workflows/test_replay.py
2. Something else is commanded? Put it behind workflow.patched("what-changed"), leave the earlier branch in place, and check
   that the histories in tests/histories still replay. Then record the new ways beside them, under new scenario names:
   python -m tests.histories.record NEW_SCENARIO
3. No release with the earlier commands was ever run? Then record all histories anew: python -m tests.histories.record
4. Write the new fingerprints: python -m tests.workflows.test_fingerprint
"""


def test_the_workflows_command_what_they_always_did() -> None:
    before = BASELINE.read_text(encoding="utf-8").splitlines()
    now = rendered().splitlines()
    difference = "\n".join(difflib.unified_diff(before, now, "as recorded", "as it stands", lineterm=""))

    assert before == now, f"{difference}\n{_WHAT_TO_DO}"


def test_the_fingerprint_sees_a_swap_a_rename_and_a_new_command(tmp_path: Path) -> None:
    def of(*lines: str) -> list[str]:
        source = tmp_path / "one.py"
        body = "\n".join(f"        {line}" for line in lines)
        source.write_text(
            f"@workflow.defn(name='One')\nclass One:\n    async def run(self):\n{body}\n", encoding="utf-8"
        )
        return fingerprints([source])["One"]

    sync, sleep = 'await workflow.execute_activity("calendar.sync", 1)', "await workflow.sleep(60, summary='rest')"

    assert of(sync, sleep) == ["run: execute_activity 'calendar.sync'", "run: sleep"]
    assert of(sleep, sync) != of(sync, sleep)
    assert of(sync.replace("calendar.sync", "sync"), sleep) != of(sync, sleep)
    assert of(sync, sleep, "workflow.upsert_search_attributes([])") != of(sync, sleep)
    assert of(sync, sleep.replace("60", "90")) == of(sync, sleep)
    assert of(sync.replace('"calendar.sync"', "ActivityName.CALENDAR_SYNC"), sleep) == of(sync, sleep)
    assert of("await workflow.wait_condition(f, timeout=1)") != of("await workflow.wait_condition(f)")


def test_the_fingerprint_sees_what_is_commanded_through_other_methods(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text(
        "@workflow.defn\nclass One:\n"
        "    async def run(self): await self._ask('bot.reconcile'); self._note()\n"
        "    async def _ask(self, name): await workflow.execute_activity(name)\n"
        "    def _note(self): self.noted = True\n",
        encoding="utf-8",
    )

    assert fingerprints([source])["One"] == ["run: self._ask 'bot.reconcile'", "_ask: execute_activity name"]


def test_every_workflow_has_a_fingerprint() -> None:
    assert set(json.loads(BASELINE.read_text(encoding="utf-8"))) == {
        "BotWorkflow",
        "CalendarUserWorkflow",
        "ConnectWorkflow",
        "OAuthAppCheckWorkflow",
        "CalendarCheckWorkflow",
        "ErasureWorkflow",
        "WebhookWorkflow",
    }


@pytest.mark.parametrize(
    "path", [path for path in WORKFLOWS if "activity" in path.read_text()], ids=lambda path: path.name
)
def test_the_death_of_a_worker_is_noticed_by_the_heartbeats_of_each_activity(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    starting = ("execute_activity", "start_activity", "ActivityConfig")
    activities = [call for call in calls if ast.unparse(call.func).endswith(starting)]

    assert activities
    # Options that are passed whole, as ``**options``, are looked at where they are made.
    silent = [call for call in activities if not {"heartbeat_timeout", None} & {one.arg for one in call.keywords}]
    # What is held in a process has that process's pulse instead.
    assert [ast.unparse(call.args[0]) for call in silent] == (
        ["ActivityName.BOT_DISPATCH"] if path.name == "bot.py" else []
    )


# What no replayed code may do

_FORBIDDEN_MODULES = frozenset({"os", "random", "secrets", "socket", "threading", "time", "uuid"})
_FORBIDDEN_CALLS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "id", "hash", "open"})
_SET_METHODS = frozenset({"difference", "intersection", "symmetric_difference", "union"})


def offences(source: str) -> list[str]:
    """What may come out differently from one process, or one moment, to the next."""
    return [offence for node in ast.walk(ast.parse(source)) for offence in _offence(node)]


def _offence(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [f"imports {name.name}" for name in names if name.name.partition(".")[0] in _FORBIDDEN_MODULES]
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _FORBIDDEN_MODULES:
            return [f"imports {module}"]
        case ast.Call(func=function) if ast.unparse(function) in _FORBIDDEN_CALLS:
            return [f"calls {ast.unparse(function)}"]
        case ast.For(iter=iterable) | ast.comprehension(iter=iterable) if _is_unordered(iterable):
            return [f"iterates over {ast.unparse(iterable)} without sorted()"]
        case ast.Call(func=ast.Name(id="list" | "tuple" | "enumerate" | "zip" | "map"), args=arguments):
            return [f"orders {ast.unparse(one)} without sorted()" for one in arguments if _is_unordered(one)]
        case ast.Starred(value=value) if _is_unordered(value):
            return [f"unpacks {ast.unparse(value)} without sorted()"]
    return []


def _is_unordered(node: ast.expr) -> bool:
    """Return whether this is a set, as far as the source shows it.

    Sets are literals, constructors, set algebra, and differences of dictionaries' views.
    """
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in _SET_METHODS
        case ast.BinOp(op=ast.Sub() | ast.BitAnd() | ast.BitOr() | ast.BitXor()):
            return True
    return False


@pytest.mark.parametrize("path", REPLAYED, ids=lambda path: path.name)
def test_replayed_code_depends_on_nothing_but_its_history(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "for key in new.keys() - old.keys(): pass",
        "for key in {1, 2}: pass",
        "[key for key in set(keys)]",
        "[key for key in a.union(b)]",
        "list(new.keys() & old.keys())",
        "call(*set(keys))",
        "import random",
        "import time",
        "from uuid import uuid4",
        "import os.path",
        "datetime.now(UTC)",
    ],
)
def test_what_replay_could_not_bear_is_found(source: str) -> None:
    assert offences(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "for key in sorted(new.keys() - old.keys()): pass",
        "for key in known: pass",
        "[known[key] for key in sorted(known) if key not in plan]",
        "workflow.random().random()",
        "workflow.now()",
        "datetime.fromtimestamp(0, tz=now.tzinfo)",
        "import contextlib",
        "is_over = state in {1, 2}",
    ],
)
def test_what_replays_is_left_alone(source: str) -> None:
    assert offences(source) == []


def rendered() -> str:
    return json.dumps(fingerprints(WORKFLOWS), indent=2) + "\n"


if __name__ == "__main__":
    BASELINE.write_text(rendered(), encoding="utf-8")
