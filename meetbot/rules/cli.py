"""``meetbot rules evaluate``: one rule set over JSON lines, one decision per line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from meetbot.domain.decision import Layer
from meetbot.domain.event import Provider
from meetbot.errors import InvalidInput
from meetbot.rules.engine import CompiledRules, RuleLayer, compile_rules, decide
from meetbot.rules.json_fields import BadLine
from meetbot.rules.jsonl import Normaliser, read_line
from meetbot.rules.rule_set import parse_rule_set

EXIT_OK: Final = 0
EXIT_BAD_LINES: Final = 1
EXIT_BAD_RULES: Final = 2

_LONGEST_LINE_BYTES: Final = 4 << 20

Write = Callable[[str], object]


def run(
    rules_document: object,
    lines: Iterable[str | bytes],
    write: Write,
    *,
    normalisers: Mapping[Provider, Normaliser],
) -> int:
    """Decide on each line and write one JSON line for it, ending in a newline.

    Blank lines are passed over. A line is as `meetbot.rules.jsonl` reads it; ``normalisers`` read events as their providers
    give them. A line that cannot be decided on is answered by an ``error`` and does not stop the run. Returns 0; 1 if a
    line was bad; 2 if the rule set is: then nothing was decided, and the one line written holds every fault.
    """
    try:
        rules = compile_rules([RuleLayer(parse_rule_set(rules_document), "", Layer.USER)])
    except InvalidInput as refusal:
        write(_json({"error": _refusal(refusal)}))
        return EXIT_BAD_RULES
    exit_code = EXIT_OK
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            answer = _answer(line, rules, normalisers)
        except BadLine as fault:
            exit_code = EXIT_BAD_LINES
            answer = {"error": {"code": "invalid_event", "line": number, "path": fault.path, "message": str(fault)}}
        write(_json(answer))
    return exit_code


def _answer(line: str | bytes, rules: CompiledRules, normalisers: Mapping[Provider, Normaliser]) -> dict[str, Any]:
    event, context = read_line(_parsed(line), normalisers)
    decision = decide(event, context, rules)
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "rule": decision.rule,
        "facts": decision.facts,
    }


def _parsed(line: str | bytes) -> object:
    if len(line) > _LONGEST_LINE_BYTES:
        raise BadLine("", f"the line is longer than {_LONGEST_LINE_BYTES} bytes")
    try:
        return orjson.loads(line)
    except ValueError:
        return _parsed_with_repairs(line)


def _parsed_with_repairs(line: str | bytes) -> object:
    """Parse JSON that orjson refuses and other writers produce.

    That is JSON with halves of surrogate pairs, which become ``?``, and with a byte order mark.
    """
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line.removeprefix("\N{BYTE ORDER MARK}")
        whole = json.dumps(json.loads(text), ensure_ascii=False)
        return orjson.loads(whole.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise BadLine("", "the line is not JSON") from None


def _refusal(refusal: InvalidInput) -> dict[str, Any]:
    faults = [{"path": fault.path, "code": fault.code, "message": fault.message} for fault in refusal.faults]
    return {"code": refusal.code, "message": refusal.detail, "errors": faults}


def _json(answer: Mapping[str, Any]) -> str:
    return orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE).decode()
