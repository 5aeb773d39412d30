from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from meetbot.domain import bot_state, dispatch_state
from meetbot.domain.bot_state import BOT_TRANSITIONS, LIVE_STATES, PROGRESS, TERMINAL_STATES, BotState
from meetbot.domain.dispatch_state import DISPATCH_TRANSITIONS, DispatchState, is_being_recalled, may_be_out
from meetbot.domain.transitions import IllegalTransition, TransitionTable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bot-states.md").read_text(encoding="utf-8")
MACHINES: list[tuple[type[StrEnum], TransitionTable[Any], Callable[[Any, Any], Any]]] = [
    (BotState, BOT_TRANSITIONS, bot_state.followed_by),
    (DispatchState, DISPATCH_TRANSITIONS, dispatch_state.followed_by),
]


def edges(table: TransitionTable[Any]) -> set[tuple[str, str]]:
    return {(str(current), str(following)) for current, allowed in table.items() for following in allowed}


def drawn(diagram: str) -> set[tuple[str, str]]:
    """Return the arrows between states of a Mermaid diagram.

    An arrow from a group of states starts in each of them.
    """
    groups = {
        name: set(re.findall(r"\w+", re.sub(r"-->|:.*", " ", body)))
        for name, body in re.findall(r"state (\w+) \{(.*?)\}", diagram, flags=re.DOTALL)
    }
    arrows = re.findall(r"^\s*(\w+) --> (\w+)", diagram, flags=re.MULTILINE)
    return {(one, to) for start, to in arrows for one in groups.get(start, {start})}


DIAGRAMS = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("kind", "table", "_follow"), MACHINES)
def test_a_table_has_a_line_for_every_state(
    kind: type[StrEnum], table: TransitionTable[Any], _follow: Callable[[Any, Any], Any]
) -> None:
    assert set(table) == set(kind)


@pytest.mark.parametrize(
    ("follow", "table", "current", "following"),
    [(follow, table, one, other) for kind, table, follow in MACHINES for one, other in product(kind, kind)],
)
def test_a_state_is_followed_by_what_its_table_allows_and_nothing_else(
    follow: Callable[[Any, Any], Any], table: TransitionTable[Any], current: StrEnum, following: StrEnum
) -> None:
    if following in table[current]:
        assert follow(current, following) is following
    else:
        with pytest.raises(IllegalTransition, match=f"{current} is not followed by {following}"):
            follow(current, following)


@pytest.mark.parametrize(("diagram", "machine"), list(zip(DIAGRAMS, MACHINES, strict=True)))
def test_the_page_draws_the_tables(diagram: str, machine: tuple[Any, TransitionTable[Any], Any]) -> None:
    assert drawn(diagram) == edges(machine[1])


def test_an_ended_bot_stays_ended_unless_it_was_wrongly_missed() -> None:
    assert {state: set(BOT_TRANSITIONS[state]) for state in TERMINAL_STATES} == {
        BotState.COMPLETED: set(),
        BotState.FAILED: set(),
        BotState.CANCELLED: set(),
        BotState.MISSED: {BotState.DISPATCHED},
    }


def test_every_live_bot_can_end() -> None:
    for state in LIVE_STATES:
        assert BOT_TRANSITIONS[state] & TERMINAL_STATES


def test_a_sent_bot_never_goes_back_to_an_earlier_stage_of_its_progress() -> None:
    for earlier, later in product(PROGRESS, PROGRESS):
        if PROGRESS.index(earlier) < PROGRESS.index(later):
            assert earlier not in BOT_TRANSITIONS[later]


def test_a_bot_may_be_out_while_its_request_is_unanswered_or_accepted() -> None:
    assert {state for state in DispatchState if may_be_out(state)} == {DispatchState.INTENDED, DispatchState.ACCEPTED}
    assert not is_being_recalled(DispatchState.ACCEPTED, None)


# The tables hold for every write

# The rows of push channels have states of their own.
_SOURCES = [
    path
    for folder in ("activities", "api", "meetbot", "workflows")
    for path in (ROOT / folder).rglob("*.py")
    if path.parent.name != "push"
]
_MOVERS = {"move_bot", "move_dispatch"}
# Calendar users, webhook endpoints and deliveries have states too, which are no bot's.
_BOT_ROWS = {"bot", "row", "dispatch", "earlier", "seen"}


def assigned_states(source: str) -> Iterator[str]:
    """The functions that assign the ``state`` of a bot's or dispatch's row, by name."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in (part for one in targets for part in ast.walk(one)):
                match target:
                    case ast.Attribute(value=ast.Name(id=owner), attr="state") if owner in _BOT_ROWS:
                        yield function.name


def test_no_code_changes_a_state_past_its_table() -> None:
    writers = {writer for path in _SOURCES for writer in assigned_states(path.read_text(encoding="utf-8"))}
    assert writers == _MOVERS


def test_a_state_assigned_past_its_table_is_found() -> None:
    assert list(assigned_states("def end(bot):\n    bot.state, bot.outcome = 'failed', None\n")) == ["end"]
