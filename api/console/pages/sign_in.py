"""Signing in with an API key, signing out, and what a browser remembers of its own wishes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.console.session import is_from_here, set_cookie, sign_in, sign_out, signed_in
from api.console.shell import (
    POLICY,
    SIGN_IN_PATH,
    THEME_COOKIE,
    THEMES,
    ZONE_COOKIE,
    InjectedConsole,
    PostedForm,
    read_form,
    safe_return,
    see_other,
    theme_of,
)
from api.dependencies import ApiServices, InjectedServices
from api.pages import page
from api.problems import Problem
from meetbot.providers.times import find_zone

router = APIRouter(prefix="/console", include_in_schema=False)
_A_YEAR = 365 * 24 * 3600


@router.get("/sign-in")
async def show_sign_in(request: Request, services: InjectedServices) -> Response:
    """Show the form, or go on if the browser is signed in.

    Only in development does the page take an API key from its own address, as `meetbot dev` prints it.
    """
    back = safe_return(request.query_params.get("back"))
    if await run_in_threadpool(signed_in, request, services) is not None:
        return RedirectResponse(back, status_code=303)
    return _form(request, services, back)


@router.post("/sign-in")
async def take_sign_in(request: Request, services: InjectedServices) -> Response:
    """Exchange an API key for a session."""
    form = await read_form(request)
    back = safe_return(form.get("back"))
    if not is_from_here(request):
        return _form(request, services, back, fault="Please send the form from this page.", status=403)
    key, is_read_only = form.get("key", "").strip()[:200], form.get("read_only") == "on"
    try:
        cookie = await run_in_threadpool(sign_in, request, services, key, is_read_only=is_read_only)
    except Problem as problem:
        fault = "This API key does not work." if problem.status == 401 else problem.detail
        return _form(request, services, back, fault=fault, status=problem.status)
    answer = RedirectResponse(back, status_code=303)
    set_cookie(answer, cookie, services)
    return answer


@router.post("/sign-out")
async def take_sign_out(console: InjectedConsole, form: PostedForm) -> Response:
    """End the session, here and in the database."""
    await run_in_threadpool(sign_out, console.request, console.services)
    answer = RedirectResponse(SIGN_IN_PATH, status_code=303)
    set_cookie(answer, "", console.services)
    return answer


@router.post("/preferences")
async def take_preferences(console: InjectedConsole, form: PostedForm) -> Response:
    """Remember in which zone and colours this browser wants its pages."""
    answer = see_other(safe_return(form.get("back")))
    zone, theme = form.get("zone", ""), form.get("theme", "")
    secure = console.services.settings.public_url.startswith("https://")
    if find_zone(zone) is not None:
        answer.set_cookie(ZONE_COOKIE, zone, max_age=_A_YEAR, path="/console", samesite="lax", secure=secure)
    if theme in THEMES:
        answer.set_cookie(THEME_COOKIE, theme, max_age=_A_YEAR, path="/console", samesite="lax", secure=secure)
    return answer


def _form(request: Request, services: ApiServices, back: str, *, fault: str = "", status: int = 200) -> Response:
    return page(
        "console/sign_in.html",
        status=status,
        policy=POLICY,
        back=back,
        fault=fault,
        theme=theme_of(request),
        takes_key_from_address=not services.settings.is_production,
    )
