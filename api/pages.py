"""The pages of the front: plain HTML, everything escaped, no script but our own files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(str(resources.files("api")))
STATIC_DIRECTORY = _HERE / "static"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_environment = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def page(
    template: str,
    *,
    status: int = 200,
    policy: str = PAGE_POLICY,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Render a template under `policy`, the page's Content-Security-Policy."""
    html = _environment.get_template(template).render(**values)
    return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": policy, **(headers or {})})


def message_page(
    title: str,
    text: str,
    *,
    status: int = 200,
    good: bool = False,
    reload_seconds: int = 0,
    told: Sequence[tuple[str, str]] = (),
) -> HTMLResponse:
    """Render one sentence to a person.

    `told` is what the customer's own page would have got as query parameters.
    """
    headers = {"Retry-After": str(reload_seconds)} if reload_seconds else {}
    return page(
        "message.html",
        status=status,
        headers=headers,
        title=title,
        text=text,
        good=good,
        reload_seconds=reload_seconds,
        told=told,
    )
