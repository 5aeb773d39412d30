"""The OpenAPI document and the pages that show it, without files from other servers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from api import webhook_docs
from api.pages import page
from api.problems import ProblemDocument, ProblemFault

VENDORED_PATH = "/static/vendor"
DESCRIPTION = """
Calendar in, recording bots out: connect your end-users' Google or Outlook calendars once; each meeting that your rules say to
record gets one bot, 90 seconds before it starts.

* Authenticate with `Authorization: Bearer mb_live_…` (or `mb_test_…`).
* Times are UTC, RFC 3339. Listings answer `{data, next_cursor}`; unknown fields and parameters are refused.
* Errors are `application/problem+json` with a stable `code`.
* POSTs that create take an `Idempotency-Key`, kept for 24 hours.
* Everything under `/v1` is answered under `/api/v1` too.
"""
TAGS = [
    {"name": "connect", "description": "From a request to a connected calendar, through the provider's consent page."},
    {"name": "calendar users", "description": "End-users' connected calendar accounts."},
    {"name": "events", "description": "What is on the calendars, and what was decided about it."},
    {"name": "rules", "description": "Which meetings to record. Rules run in order, the first match decides."},
    {"name": "overrides", "description": "Exceptions for one occurrence or a series."},
    {
        "name": "bots",
        "description": "One recording bot per meeting, however many calendars it is on: while their copies agree on room "
        "and start. A copy that says otherwise moves nobody's bot, unless the calendar whose copy leads says so too.",
    },
    {"name": "webhooks", "description": "Signed messages about what happens."},
    {"name": "api keys", "description": "Keys with scopes and expiry, their rotation and revocation."},
    {"name": "audit log", "description": "Who changed what, in a chain of hashes; which secrets were opened."},
    {"name": "tenant", "description": "Your own settings."},
    {"name": "usage", "description": "What was recorded, and what it costs."},
    {"name": "bot backends", "description": "Reports of the bot backends to us."},
    {"name": "notifications", "description": "Where Google and Microsoft report that a calendar changed."},
    {"name": "health", "description": "For load balancers."},
]

# Swagger UI and ReDoc set styles in script, and ReDoc searches in a worker made of a blob.
_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; child-src blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
router = APIRouter(include_in_schema=False)


@router.get("/docs")
def swagger() -> HTMLResponse:
    """Show the Swagger UI."""
    return page("swagger.html", policy=_POLICY, vendored=VENDORED_PATH)


@router.get("/redoc")
def redoc() -> HTMLResponse:
    """Show ReDoc."""
    return page("redoc.html", policy=_POLICY, vendored=VENDORED_PATH)


def vendored_files() -> StaticFiles:
    """Serve Swagger UI and ReDoc as the package index carries them."""
    return StaticFiles(directory=Path(str(resources.files("fastapi_offline"))) / "static")


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            webhooks=webhook_docs.router.routes,
            tags=app.openapi_tags,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for model in (ProblemFault, ProblemDocument):
            schemas[model.__name__] = _component(model)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema


def _component(model: type[ProblemDocument] | type[ProblemFault]) -> dict[str, Any]:
    described = model.model_json_schema(ref_template="#/components/schemas/{model}")
    described.pop("$defs", None)
    return described
