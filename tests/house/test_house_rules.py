"""What a reader may count on in every file: `make check` runs these beside the linters."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOOSE_MODULES = {"__init__", "cli", "clock", "doctor", "errors", "logs", "ops", "settings"}
LONGEST_FILE = 400
LONGEST_FIRST_LINE = 90
_LOG_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}

Rule = Callable[[str], Iterator[str]]


def long_file(source: str) -> Iterator[str]:
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield f"has {lines} lines, {LONGEST_FILE} at most: which two reasons to exist does it have?"


def long_first_line(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            if len(first) > LONGEST_FIRST_LINE:
                yield f"docstring's first line has {len(first)} characters, {LONGEST_FIRST_LINE} at most: {first}"


def odd_log_event(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        logger = node.func.value
        if node.func.attr in _LOG_METHODS and isinstance(logger, ast.Name) and logger.id == "_log":
            event = node.args[0]
            name = event.value if isinstance(event, ast.Constant) else None
            if not isinstance(name, str) or not _LOG_EVENT.fullmatch(name):
                yield f"line {node.lineno}: a log event is a plain text `area.thing_happened`, not {ast.unparse(event)}"


def foreign_logger(source: str) -> Iterator[str]:
    """Loggers have one name, so that the rule about their events finds them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(
            ("structlog.get_logger", "logging.getLogger")
        ):
            target = ast.unparse(node.targets[0])
            if target not in ("_log", "_access_log"):
                yield f"line {node.lineno}: a logger is called _log, not {target}"


RULES: tuple[Rule, ...] = (long_file, long_first_line, odd_log_event, foreign_logger)


def _python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_breaks_the_rule(rule: Rule) -> None:
    findings = [
        f"{path.relative_to(ROOT)}: {finding}"
        for path in _python_files()
        for finding in rule(path.read_text(encoding="utf-8"))
    ]

    assert not findings, "\n".join(findings)


def test_modules_of_the_library_live_in_folders() -> None:
    loose = {path.stem for path in (ROOT / "meetbot").glob("*.py")}

    assert loose <= LOOSE_MODULES, (
        f"which folder of docs/architecture.md do they belong to? {sorted(loose - LOOSE_MODULES)}"
    )


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_file, "x = 1\n" * (LONGEST_FILE + 1)),
        (long_first_line, f'def f():\n    """{"word " * 19}."""\n'),
        (odd_log_event, '_log.info("worker ready")\n'),
        (odd_log_event, '_log.warning(f"sync.{reason}")\n'),
        (odd_log_event, '_log.error("one.two.three")\n'),
        (foreign_logger, 'logger = structlog.get_logger("api")\n'),
    ],
)
def test_the_rule_sees_what_breaks_it(rule: Rule, source: str) -> None:
    assert list(rule(source))


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_first_line, '"""Short.\n\n' + "A longer explanation may follow on lines of any number. " * 5 + '"""\n'),
        (odd_log_event, '_log.info("worker.ready", tenant_id=tenant_id)\n'),
    ],
)
def test_the_rule_lets_good_code_be(rule: Rule, source: str) -> None:
    assert not list(rule(source))
