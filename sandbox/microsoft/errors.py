"""Errors in the shape of Microsoft Graph (learn.microsoft.com/graph/errors)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class GraphError(Exception):
    """An error to answer with; `respond` makes the answer."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def body(code: str, message: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    request_id = str(uuid.uuid4())
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": request_id,
    }
    return {"error": {"code": code, "message": message, "innerError": inner}}


def unauthenticated(message: str) -> GraphError:
    """Return the error for a missing, unknown or expired access token."""
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": 'Bearer realm=""'})


def access_denied() -> GraphError:
    """Return the error for an access token without a calendar scope."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def not_found() -> GraphError:
    """Return the error for an unknown calendar or event."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def bad_request(code: str, message: str) -> GraphError:
    """Return the error for a wrong request."""
    return GraphError(400, code, message)


async def respond(_: Request, error: Exception) -> Response:
    """Answer with a `GraphError`."""
    if not isinstance(error, GraphError):
        raise error
    return JSONResponse(body(error.code, error.message), error.status, error.headers)
