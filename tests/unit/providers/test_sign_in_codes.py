"""Microsoft's sign-in error numbers: whose matter a refused token request is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired, RetryLater
from meetbot.providers.http import Answer
from meetbot.providers.sign_in_codes import NUMBERS, SignInClass, sign_in_class
from meetbot.providers.token_endpoint import token_error
from tests.unit.providers.scripted import NOW, reply


def refused(error: str, *numbers: object, status: int = 400, **more: Any) -> ProviderError:
    answer = reply({"error": error, "error_codes": list(numbers), **more}, status)
    return token_error(Answer(answer.status_code, answer.headers, answer.content), Provider.MICROSOFT, NOW)


def test_each_published_number_has_one_class() -> None:
    every = [number for numbers in NUMBERS.values() for number in numbers]
    assert len(every) == len(set(every)) > 300
    assert set(NUMBERS) == set(SignInClass)


def test_a_loop_that_the_server_stopped_is_waited_out_and_disconnects_nobody() -> None:
    error = refused("invalid_grant", 50196)
    assert isinstance(error, RetryLater)
    assert error.code == "login_loop"
    assert error.retry_after is not None
    assert error.retry_after >= timedelta(minutes=15)


@pytest.mark.parametrize("number", [700016, 70001, 7000112, 500011, 650052])
@pytest.mark.parametrize("error", ["unauthorized_client", "invalid_client", "invalid_resource", "invalid_grant"])
def test_an_application_missing_in_one_directory_is_that_administrators_matter(number: int, error: str) -> None:
    told = refused(error, number, status=401)
    assert isinstance(told, OperatorRequired)
    assert told.code == "application_not_in_directory"
    assert "administrator" in told.next_step


@pytest.mark.parametrize("number", sorted(NUMBERS[SignInClass.LATER]))
def test_what_will_pass_disconnects_nobody_under_any_error(number: int) -> None:
    for error in ("invalid_grant", "interaction_required", "invalid_request"):
        assert isinstance(refused(error, number), RetryLater)


@pytest.mark.parametrize("number", sorted(NUMBERS[SignInClass.OPERATOR]))
def test_our_own_client_or_request_disconnects_nobody(number: int) -> None:
    for error in ("invalid_grant", "invalid_client", "invalid_request"):
        assert isinstance(refused(error, number), OperatorRequired)


@pytest.mark.parametrize("number", sorted(NUMBERS[SignInClass.ADMIN_POLICY]))
def test_a_policy_of_the_directory_names_its_administrator(number: int) -> None:
    error = refused("invalid_grant", number)
    assert isinstance(error, ReconnectRequired)
    assert error.code == "admin_policy_enforced"


@pytest.mark.parametrize("number", sorted(NUMBERS[SignInClass.RECONNECT]))
def test_an_ended_grant_asks_the_user(number: int) -> None:
    error = refused("invalid_grant", number)
    assert isinstance(error, ReconnectRequired)
    assert error.code == "invalid_grant"


@pytest.mark.parametrize("number", [*sorted(NUMBERS[SignInClass.OTHER]), 424242, -1, "50196", None, True])
def test_any_other_number_leaves_it_to_the_error(number: object) -> None:
    assert isinstance(refused("invalid_grant", number), ReconnectRequired)
    assert isinstance(refused("invalid_client", number), OperatorRequired)
    assert isinstance(refused("something_new", number), RetryLater)


def test_a_number_of_an_ended_grant_alone_disconnects_nobody_under_an_error_of_another_kind() -> None:
    assert isinstance(refused("something_new", 70008), RetryLater)
    assert isinstance(refused("temporarily_unavailable", 50173), RetryLater)
    assert isinstance(refused("invalid_client", 50173), OperatorRequired)


def test_of_several_numbers_the_one_that_disconnects_nobody_counts() -> None:
    assert isinstance(refused("invalid_grant", 70000, 50196), RetryLater)
    assert isinstance(refused("invalid_grant", 50076, 90024), RetryLater)
    assert isinstance(refused("invalid_grant", 70000, 7000222), OperatorRequired)


def test_a_number_counts_in_the_text_as_in_the_list() -> None:
    told = sign_in_class({"error_description": "AADSTS50196: The server terminated an operation.\r\nTrace ID: 1"})
    assert told is SignInClass.LOOP
    assert sign_in_class({"error_description": "AADSTS501961: other", "error_codes": {"a": 1}}) is None


def test_googles_answers_have_no_such_numbers() -> None:
    answer = reply({"error": "invalid_grant", "error_codes": [50196]}, 400)
    told = token_error(Answer(answer.status_code, answer.headers, answer.content), Provider.GOOGLE, NOW)
    assert isinstance(told, ReconnectRequired)
