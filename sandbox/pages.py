"""HTML pages, with strict headers and nothing loaded from other hosts."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
# The referrer policy is not no-referrer: with it browsers send `Origin: null` when our own forms are posted.
# There is no form-action: browsers apply it also to the redirect after the form, which leads to the client's callback.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

router = APIRouter(include_in_schema=False)


def render(template: str, context: dict[str, object], status: int = 200) -> Response:
    """Return the page that a template makes of the context."""
    defaults: dict[str, object] = {"account": None, "accounts": []}
    html = _TEMPLATES.get_template(template).render(defaults | context)
    return HTMLResponse(html, status, _HEADERS)


async def show_authorization_error(_: Request, error: Exception) -> Response:
    """Show why an authorization request cannot be answered by a redirect."""
    code, detail = getattr(error, "code", "server_error"), getattr(error, "detail", "")
    return render("refused.html", {"code": code, "detail": detail}, getattr(error, "status", 500))


@router.get("/")
async def console() -> Response:
    """Show the sandbox's page: calendars, clock and bots."""
    return render("console.html", {})
