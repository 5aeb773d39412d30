"""Every error as ``application/problem+json`` (RFC 9457) with a stable code.

No input is echoed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from meetbot.errors import Fault, InvalidInput, MeetbotError, VaultError

MEDIA_TYPE = "application/problem+json"
_MAX_FAULTS = 100
_log = structlog.get_logger(__name__)


class ProblemFault(BaseModel):
    """One thing wrong with the input."""

    path: str = Field(description="Where, as a dotted path such as `rules.2.when.all.0`.")
    code: str
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem details. Act on `code`; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemFault]
    base_url: str | None = Field(
        default=None, description="With `wrong_region`: where this tenant lives, if that is known here."
    )


class Problem(Exception):
    """Raised by anything that answers a request with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        base_url: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.base_url = base_url

    def response(self) -> JSONResponse:
        """Return the error as an HTTP response."""
        return JSONResponse(
            {
                "type": f"urn:meetbot:problem:{self.code}",
                "title": _title(self.code),
                "status": self.status,
                "code": self.code,
                "detail": self.detail,
                "errors": [
                    {"path": fault.path, "code": fault.code, "message": fault.message}
                    for fault in self.faults[:_MAX_FAULTS]
                ],
                **({"base_url": self.base_url} if self.base_url is not None else {}),
            },
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def not_found(what: str) -> Problem:
    """Return a 404, the same whether there is no such thing or it is another tenant's."""
    return Problem(404, f"{what}_not_found", f"there is no such {what.replace('_', ' ')}")


def from_library(error: MeetbotError) -> Problem:
    """Return what an error of the library means over HTTP."""
    if isinstance(error, InvalidInput):
        return Problem(_STATUS_OF_INPUT.get(error.code, 422), error.code, error.detail, faults=error.faults)
    if isinstance(error, VaultError):
        return unavailable("vault_unavailable", "the key management service does not answer")
    return unavailable(error.code, "something that we depend on does not answer")


_STATUS_OF_INPUT = {
    "invalid_watermark": 400,
    "invalid_cursor": 400,
    "scope_exceeds_key": 403,
    "key_not_working": 409,
    "last_key": 409,
    "too_many_keys": 409,
}


def unavailable(code: str, detail: str) -> Problem:
    """Return a 503 that asks the client to try again in five seconds."""
    return Problem(503, code, f"{detail}; try again", headers={"Retry-After": "5"})


def internal_error() -> Problem:
    """Return the 500 of an error that nothing else handled."""
    return Problem(500, "internal_error", "this is our fault; it has been recorded")


def install(app: FastAPI) -> None:
    """Have the application answer all errors as problems."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(MeetbotError, _on_library_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(OperationalError, _on_database_error)
    app.add_exception_handler(PoolTimeout, _on_database_error)


def _answered(request: Request, problem: Problem) -> JSONResponse:
    """Answer with the problem, and note its code for the log of requests."""
    request.state.problem_code = problem.code
    return problem.response()


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for nothing else
    return _answered(request, error)


async def _on_library_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MeetbotError)  # noqa: S101 - registered for nothing else
    problem = from_library(error)
    if problem.status >= 500:
        _log.warning("dependency.failed", code=error.code)
    return _answered(request, problem)


async def _on_database_error(request: Request, error: Exception) -> JSONResponse:
    _log.warning("dependency.failed", code="database_unavailable", error=type(error).__name__)
    return _answered(request, unavailable("database_unavailable", "the database does not answer"))


_CODES_OF_STATUS = {
    400: "malformed_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code = _CODES_OF_STATUS.get(error.status_code, "request_failed")
    detail = _title(code) if error.status_code >= 400 else str(error.detail)
    return _answered(request, Problem(error.status_code, code, detail, headers=error.headers))


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return _answered(request, malformed_json())
    faults = [_fault(detail) for detail in details]
    return _answered(request, Problem(422, "invalid_input", _summary(faults), faults=faults))


def malformed_json() -> Problem:
    """Return the 400 of a body that is no JSON."""
    return Problem(400, "malformed_json", "the body is not JSON in UTF-8")


_CODES_OF_TYPES = {"missing": "required", "extra_forbidden": "unknown_field"}
_PLACES = {"body", "query", "path", "header"}


def _fault(detail: Mapping[str, Any]) -> Fault:
    place = [str(step) for step in detail["loc"]]
    if place and place[0] in _PLACES:
        place = place[1:]
    kind = str(detail["type"])
    return Fault(".".join(place)[:500], _CODES_OF_TYPES.get(kind, kind), str(detail["msg"])[:500])


def _summary(faults: Sequence[Fault]) -> str:
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{first.path}: {first.message}{more}" if first.path else f"{first.message}{more}"


def _title(code: str) -> str:
    return re.sub(r"[_.]+", " ", code).capitalize()


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may answer these errors, for OpenAPI."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


_DESCRIPTIONS = {
    400: "The request cannot be read: `malformed_json`, `invalid_cursor`, `invalid_watermark`, `malformed_url`.",
    401: "No API key, or not a good one.",
    403: "The API key lacks the scope.",
    404: "There is no such thing, or it is another tenant's.",
    409: "It does not fit the present state: see `code`.",
    410: "The watermark is older than tombstones are kept (`watermark_expired`): list anew.",
    413: "The body is over 256 KB.",
    415: "The body is not declared as JSON.",
    421: "The tenant lives in another region (`wrong_region`): ask at `base_url`.",
    422: "The input cannot be used; `errors` has one entry per fault.",
    429: "Too many requests; see `Retry-After`.",
    503: "Something that we depend on does not answer; try again.",
}
COMMON = described(400, 401, 403, 413, 415, 421, 422, 429, 503)
