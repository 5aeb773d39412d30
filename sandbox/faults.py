"""Faults on demand: to which requests they happen, and what the caller then sees."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, field_validator

from sandbox.google import errors as google_errors
from sandbox.microsoft import errors as microsoft_errors

Text = Annotated[str, StringConstraints(max_length=2000)]


class FaultMoment(StrEnum):
    """When a fault acts. AFTER: the request does its work, then its answer is lost or replaced."""

    BEFORE = "before"
    AFTER = "after"


class FaultMatch(BaseModel, extra="forbid"):
    """Which requests a fault happens to; all that is given must match.

    ``account`` is the address whose access token the request carries.
    """

    method: Annotated[str, StringConstraints(to_upper=True, max_length=10)] | None = None
    path: Text | None = Field(default=None, description="The path begins with this.")
    path_regex: Text | None = Field(default=None, description="This regular expression is found in the path.")
    query_regex: Text | None = Field(default=None, description="... in the query string.")
    account: Text | None = None

    @field_validator("path_regex", "query_regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class FaultAction(BaseModel, extra="forbid"):
    """What the caller sees instead of the real answer. ``delay_ms`` is real time.

    With ``status``: an answer with ``body``, or ``html``, or an error in the provider's own shape made from ``reason``.
    ``drop``: the connection ends without an answer. ``truncate``: the answer breaks off half-way. ``empty_page``: a page of
    a listing comes back empty, but with a next page.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    reason: Text | None = None
    body: dict[str, object] | list[object] | str | None = None
    html: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    headers: dict[str, Text] = Field(default={}, max_length=20)
    delay_ms: int = Field(default=0, ge=0, le=60_000)
    drop: bool = False
    truncate: bool = False
    empty_page: bool = False


class FaultRule(BaseModel, extra="forbid"):
    """A fault as it is ordered: which requests, how often, and what happens."""

    match: FaultMatch = FaultMatch()
    times: int | None = Field(default=None, ge=1, description="How often it acts; null: until cleared.")
    skip: int = Field(default=0, ge=0, description="So many matching requests pass before it acts.")
    when: FaultMoment = FaultMoment.BEFORE
    action: FaultAction


class ActiveFault(FaultRule):
    """A fault rule in force. ``hits``: how often it acted; ``passed``: how many it let through."""

    id: str
    hits: int = 0
    passed: int = 0


def match_fault(
    faults: list[ActiveFault], method: str, path: str, query: str, account: str | None
) -> ActiveFault | None:
    """Return the first rule that applies to this request and count its use, or None."""
    for fault in faults:
        if (fault.times is not None and fault.hits >= fault.times) or not _matches(
            fault.match, method, path, query, account
        ):
            continue
        if fault.passed < fault.skip:
            fault.passed += 1
            continue
        fault.hits += 1
        return fault
    return None


def fault_response(action: FaultAction, path: str) -> tuple[str, bytes]:
    """Return content type and body of the faulty answer."""
    if action.html is not None:
        return "text/html; charset=utf-8", action.html.encode()
    if isinstance(action.body, str):
        return "text/plain; charset=utf-8", action.body.encode()
    body = action.body if action.body is not None else _error_in_style(action, path)
    return "application/json; charset=utf-8", json.dumps(body).encode()


def _error_in_style(action: FaultAction, path: str) -> object:
    status, reason = action.status or 500, action.reason or "backendError"
    if path.startswith("/google/calendar/"):
        return google_errors.body(status, reason, f"Injected: {reason}")
    if path.startswith("/microsoft/v1.0"):
        return microsoft_errors.body(reason, f"Injected: {reason}")
    if path.startswith(("/google/", "/microsoft/")):
        return {"error": reason, "error_description": "Injected"}
    return {"error": {"code": reason, "message": "Injected"}}


def _matches(match: FaultMatch, method: str, path: str, query: str, account: str | None) -> bool:
    return (
        (match.method is None or match.method == method)
        and (match.path is None or path.startswith(match.path))
        and (match.path_regex is None or re.search(match.path_regex, path) is not None)
        and (match.query_regex is None or re.search(match.query_regex, query) is not None)
        and (match.account is None or match.account.casefold() == account)
    )
