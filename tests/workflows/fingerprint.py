"""Read the commands of each workflow off its source: what a recorded history depends on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from meetbot.temporal import messages

# Each of these writes into the history, or decides what is written next.
_COMMANDS = frozenset(
    {
        "continue_as_new",
        "deprecate_patch",
        "execute_activity",
        "execute_activity_method",
        "execute_child_workflow",
        "execute_local_activity",
        "patched",
        "sleep",
        "start_activity",
        "start_activity_method",
        "start_child_workflow",
        "start_local_activity",
        "upsert_memo",
        "upsert_search_attributes",
        "wait_condition",
    }
)
_COMMANDS_OF_HANDLES = frozenset({"cancel", "signal"})
Fingerprint = dict[str, list[str]]
_Method = ast.FunctionDef | ast.AsyncFunctionDef


def fingerprints(sources: Iterable[Path]) -> Fingerprint:
    """Return, by class, the commands of each method as ``method: command subject``.

    Calls of methods that have commands count too.
    """
    return {
        definition.name: list(_lines(definition))
        for source in sorted(sources)
        for definition in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(definition, ast.ClassDef) and _is_workflow(definition)
    }


def _is_workflow(definition: ast.ClassDef) -> bool:
    return any("workflow.defn" in ast.unparse(decorator) for decorator in definition.decorator_list)


def _lines(definition: ast.ClassDef) -> Iterator[str]:
    methods = {node.name: node for node in definition.body if isinstance(node, _Method)}
    commanding = _commanding(methods)
    for name, method in methods.items():
        for call in _calls(method):
            described = _described(call, commanding)
            if described is not None:
                yield f"{name}: {described}"


def _commanding(methods: Mapping[str, _Method]) -> frozenset[str]:
    """The methods that command something, be it through others."""
    known: frozenset[str] = frozenset()
    while True:
        found = frozenset(
            name for name, method in methods.items() if any(_described(call, known) for call in _calls(method))
        )
        if found == known:
            return known
        known = found


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """In the order of the source.

    Calls within an argument come before the call they are an argument of.
    """
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)
    if isinstance(node, ast.Call):
        yield node


def _described(call: ast.Call, commanding: frozenset[str]) -> str | None:
    if not isinstance(call.func, ast.Attribute):
        return None
    owner, name = ast.unparse(call.func.value), call.func.attr
    if owner == "workflow" and name in _COMMANDS:
        return " ".join([name, *_subject(call, name)])
    if owner == "self" and name in commanding:
        constants = [value for one in call.args[:1] if (value := _constant(one)) is not None]
        return " ".join([f"self.{name}", *constants])
    if owner not in ("workflow", "self") and name in _COMMANDS_OF_HANDLES:
        return f"{owner}.{name}"
    return None


def _subject(call: ast.Call, command: str) -> list[str]:
    """What tells one command from another in a history.

    The condition of a wait is not in it; that it has a timer is.
    """
    if command == "wait_condition":
        return ["with a timeout"] if any(keyword.arg == "timeout" for keyword in call.keywords) else []
    if any(kind in command for kind in ("activity", "child", "patch")):
        return [_constant(one) or ast.unparse(one) for one in call.args[:1]]
    return []


def _constant(node: ast.expr) -> str | None:
    """Return the source of a constant.

    A name such as ``ActivityName.BOT_RECALL`` counts as its value, which histories hold.
    """
    match node:
        case ast.Constant():
            return ast.unparse(node)
        case ast.Attribute(value=ast.Name(id=enum), attr=member) if hasattr(messages, enum):
            return repr(str(getattr(getattr(messages, enum), member)))
    return None
