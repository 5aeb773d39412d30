"""The console: one page that connects calendars and shows what happens to their meetings.

It knows nothing but the public API.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from api.dependencies import InjectedServices
from api.pages import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def root() -> RedirectResponse:
    """Lead to the console."""
    return RedirectResponse("/console", status_code=302)


@router.get("/console")
def console(services: InjectedServices) -> HTMLResponse:
    """Show the console.

    Only in development does it take an API key from its own address, as `meetbot dev` prints it.
    """
    return page("console.html", takes_key_from_address=not services.settings.is_production)
