"""Errors in the shape of Google's Calendar API.

Source: developers.google.com/workspace/calendar/api/guides/errors.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_USAGE_REASONS = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "accessNotConfigured"}
)
_CALENDAR_REASONS = frozenset({"fullSyncRequired", "updatedMinTooLongAgo", "forbiddenForNonOrganizer"})
_STATUS_WORDS = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class GoogleError(Exception):
    """An error to answer with; `respond` makes the answer."""

    def __init__(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}")
        self.status, self.content, self.headers = status, content, headers


def body(status: int, reason: str, message: str, location: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error."""
    entry: dict[str, Any] = {"domain": _domain(reason), "reason": reason, "message": message}
    if location is not None:
        entry |= {"locationType": "header" if location == "Authorization" else "parameter", "location": location}
    return {"error": {"errors": [entry], "code": status, "message": message}}


def not_found() -> GoogleError:
    """Return the error for an unknown calendar or event."""
    return GoogleError(404, body(404, "notFound", "Not Found"))


def bad_request(reason: str, message: str, location: str | None = None) -> GoogleError:
    """Return the error for a wrong request; ``location`` is the parameter."""
    return GoogleError(400, body(400, reason, message, location))


def full_sync_required() -> GoogleError:
    """Return the error for a sync token that is no longer valid."""
    message = "Sync token is no longer valid, a full sync is required."
    return GoogleError(410, body(410, "fullSyncRequired", message, "syncToken"))


def unauthenticated() -> GoogleError:
    """Return the error for a missing, unknown or expired access token."""
    content = body(401, "authError", "Invalid Credentials", "Authorization")
    content["error"] |= {"message": _UNAUTHENTICATED, "status": _STATUS_WORDS[401]}
    return GoogleError(401, content, {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'})


def insufficient_scopes(method: str) -> GoogleError:
    """Return the error for an access token without a scope that ``method`` needs."""
    content = body(403, "insufficientPermissions", "Insufficient Permission")
    content["error"] |= {
        "message": "Request had insufficient authentication scopes.",
        "status": _STATUS_WORDS[403],
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
                "metadata": {"service": "calendar-json.googleapis.com", "method": method},
            }
        ],
    }
    challenge = 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"'
    return GoogleError(403, content, {"WWW-Authenticate": challenge})


async def respond(_: Request, error: Exception) -> Response:
    """Answer with a `GoogleError`."""
    if not isinstance(error, GoogleError):
        raise error
    return JSONResponse(error.content, error.status, error.headers)


def _domain(reason: str) -> str:
    if reason in _USAGE_REASONS:
        return "usageLimits"
    return "calendar" if reason in _CALENDAR_REASONS else "global"
