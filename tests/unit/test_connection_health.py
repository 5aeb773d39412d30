"""Each code of an error has its class and, if anybody can do something, a next step."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.connection_health import TESTING_CODE, ErrorClass, health_of
from meetbot.providers import token_endpoint

ROOT = Path(__file__).parents[2]
CLASSES = {
    "ReconnectRequired": ErrorClass.RECONNECT,
    "OperatorRequired": ErrorClass.OPERATOR,
    "RetryLater": ErrorClass.RETRY,
}
# Of a code or an ID token that a browser brings: no calendar user has it.
OF_CONNECTING = {"id_token_refused"}


def raised() -> list[tuple[str, ErrorClass]]:
    """All codes that our code gives to errors of providers, with the class of the error."""
    found = set()
    for folder in ("meetbot", "activities"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    code = node.args[0]
                    if isinstance(code, ast.Constant):
                        found.add((str(code.value), CLASSES[node.func.id]))
    found |= {(code, ErrorClass.RECONNECT) for code in token_endpoint._RECONNECT_ERRORS}
    found |= {(code, ErrorClass.OPERATOR) for code in token_endpoint._OPERATOR_ERRORS}
    return sorted((code, error_class) for code, error_class in found if code not in OF_CONNECTING)


@pytest.mark.parametrize(("code", "error_class"), raised())
def test_a_code_is_of_the_class_that_its_error_is_of(code: str, error_class: ErrorClass) -> None:
    lost = error_class is ErrorClass.RECONNECT
    health = health_of(CalendarUserStatus.NEEDS_RECONNECT if lost else CalendarUserStatus.ACTIVE, code)
    assert health is not None
    assert (health.error_class, health.detail) == (error_class, f"{error_class}:{code}")
    assert health.next_step


def test_all_codes_are_looked_at() -> None:
    assert {error_class for _, error_class in raised()} == set(ErrorClass)
    assert len(raised()) > 35


def test_a_client_in_testing_is_named_with_what_to_do() -> None:
    health = health_of(CalendarUserStatus.NEEDS_RECONNECT, TESTING_CODE)
    assert health is not None
    assert health.detail == "reconnect:oauth_client_in_testing"
    assert "testing mode" in health.next_step
    assert "Publish" in health.next_step


@pytest.mark.parametrize("code", [None, "events_skipped", "calendars_incomplete"])
def test_what_a_sync_left_out_is_no_fault_of_the_connection(code: str | None) -> None:
    assert health_of(CalendarUserStatus.ACTIVE, code) is None


def test_a_rejected_token_is_a_matter_of_time_until_access_is_lost() -> None:
    passing = health_of(CalendarUserStatus.ACTIVE, "access_token_rejected")
    lasting = health_of(CalendarUserStatus.NEEDS_RECONNECT, "access_token_rejected")
    assert passing is not None
    assert lasting is not None
    assert (passing.error_class, lasting.error_class) == (ErrorClass.RETRY, ErrorClass.RECONNECT)


def test_a_lost_access_without_a_code_still_says_what_to_do() -> None:
    health = health_of(CalendarUserStatus.NEEDS_RECONNECT, None)
    assert health is not None
    assert health.next_step
