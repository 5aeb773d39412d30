"""What an error answer means: reconnect, operator, gone, later, or refresh and try again."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from meetbot.errors import (
    AccessTokenRejected,
    OperatorRequired,
    ProviderError,
    ReconnectRequired,
    ResourceGone,
    RetryLater,
)
from meetbot.providers.google.errors import google_error as error_of_google
from meetbot.providers.http import Answer
from meetbot.providers.microsoft.errors import microsoft_error
from tests.unit.providers.scripted import NOW, google_error, graph_error, reply


def answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def from_google(response: httpx.Response) -> ProviderError:
    return error_of_google(answer(response), NOW)


def from_graph(response: httpx.Response) -> ProviderError:
    return microsoft_error(answer(response), NOW)


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        (401, "authError", AccessTokenRejected, "access_token_rejected"),
        (403, "rateLimitExceeded", RetryLater, "rate_limited"),
        (403, "userRateLimitExceeded", RetryLater, "rate_limited"),
        (403, "quotaExceeded", RetryLater, "rate_limited"),
        (403, "dailyLimitExceeded", RetryLater, "rate_limited"),
        (429, "rateLimitExceeded", RetryLater, "rate_limited"),
        (403, "insufficientPermissions", ReconnectRequired, "scope_missing"),
        (403, "accessNotConfigured", OperatorRequired, "api_not_enabled"),
        (403, "notACalendarUser", OperatorRequired, "calendar_service_off"),
        (403, "domainPolicy", OperatorRequired, "domain_policy"),
        (403, "somethingNew", RetryLater, "forbidden"),
        (404, "notFound", ResourceGone, "not_found"),
        (410, "deleted", ResourceGone, "not_found"),
        (400, "invalid", OperatorRequired, "request_refused"),
        (408, "timeout", RetryLater, "provider_unavailable"),
        (500, "backendError", RetryLater, "provider_unavailable"),
        (503, "backendError", RetryLater, "provider_unavailable"),
        (302, "moved", RetryLater, "unexpected_status"),
    ],
)
def test_googles_errors_are_told_apart_by_reason(
    status: int, reason: str, kind: type[ProviderError], code: str
) -> None:
    error = from_google(google_error(status, reason))
    assert (type(error), error.code) == (kind, code)


def test_a_missing_scope_is_also_known_by_the_front_ends_details() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]
    error = from_google(reply({"error": {"code": 403, "details": details}}, 403))
    assert (type(error), error.code) == (ReconnectRequired, "scope_missing")


@pytest.mark.parametrize(
    ("status", "code_sent", "kind", "code"),
    [
        (401, "InvalidAuthenticationToken", AccessTokenRejected, "access_token_rejected"),
        (403, "ErrorAccessDenied", OperatorRequired, "access_denied"),
        (403, "Authorization_RequestDenied", ReconnectRequired, "scope_missing"),
        (403, "SomethingNew", RetryLater, "forbidden"),
        (404, "ErrorItemNotFound", ResourceGone, "not_found"),
        (404, "MailboxNotEnabledForRESTAPI", ReconnectRequired, "mailbox_unsupported"),
        (429, "ApplicationThrottled", RetryLater, "rate_limited"),
        (503, "MailboxConcurrency", RetryLater, "rate_limited"),
        (504, "UnknownError", RetryLater, "provider_unavailable"),
        (400, "BadRequest", OperatorRequired, "request_refused"),
    ],
)
def test_graphs_errors_are_told_apart_by_code(
    status: int, code_sent: str, kind: type[ProviderError], code: str
) -> None:
    error = from_graph(graph_error(status, code_sent))
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": "text"}', b'{"error": {"errors": [7]}}', b"{"])
@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_error_without_a_readable_body_is_only_a_reason_to_try_later(body: bytes, status: int) -> None:
    assert isinstance(from_google(reply(body, status)), RetryLater)
    assert isinstance(from_graph(reply(body, status)), RetryLater)


@pytest.mark.parametrize(
    ("header", "wish"),
    [
        ("17", timedelta(seconds=17)),
        ("0", timedelta(0)),
        (format_datetime(NOW + timedelta(minutes=3), usegmt=True), timedelta(minutes=3)),
        (format_datetime(NOW - timedelta(minutes=3), usegmt=True), timedelta(0)),
        ("99999999999999999999", timedelta(days=1)),
        ("9" * 400, timedelta(days=1)),
        ("Mon, 1 Jan 9999999999 00:00:00 GMT", None),
        ("Mon, 1 Jan 99999999999999999999 00:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_is_understood_in_seconds_and_as_a_date(header: str, wish: timedelta | None) -> None:
    headers = {"Retry-After": header.encode("latin-1")}
    response = httpx.Response(429, headers=[(b"Retry-After", headers["Retry-After"])], content=b"{}")
    for error in (from_google(response), from_graph(response)):
        assert isinstance(error, RetryLater)
        assert error.retry_after == wish


def test_a_403_for_too_many_requests_honours_retry_after() -> None:
    error = from_google(google_error(403, "userRateLimitExceeded", {"Retry-After": "30"}))
    assert isinstance(error, RetryLater)
    assert error.retry_after == timedelta(seconds=30)


def test_no_error_repeats_the_providers_message() -> None:
    for error in (from_google(google_error(403, "ann@acme.example")), from_graph(graph_error(403, "Dear Ann, no"))):
        assert "for people" not in str(error)
        assert "ann" not in str(error).lower()


def test_every_error_that_a_person_must_mend_says_how() -> None:
    for reason in ("insufficientPermissions", "accessNotConfigured", "notACalendarUser", "domainPolicy"):
        assert from_google(google_error(403, reason)).next_step
    for code in ("ErrorAccessDenied", "Authorization_RequestDenied", "MailboxNotEnabledForRESTAPI"):
        assert from_graph(graph_error(403, code)).next_step
