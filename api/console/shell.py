"""What all pages of the console share: session, API, the frame around a page, forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.console import words
from api.console.api_calls import ApiCalls, ApiRefused, api_client
from api.console.session import CSRF_FIELD, SignedIn, has_csrf_token, is_from_here, signed_in
from api.dependencies import ApiServices, InjectedServices
from api.pages import page
from meetbot.providers.times import find_zone

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types fragment"
)
ZONE_COOKIE, THEME_COOKIE = "meetbot_zone", "meetbot_theme"
THEMES = ("system", "light", "dark")
SIGN_IN_PATH = "/console/sign-in"
_OWN_PAGE = re.compile(r"/console(?:[/?][\x21-\x5b\x5d-\x7e]*)?\Z")
_LONGEST_RETURN = 500
_MOST_FIELDS = 200
_LONGEST_TEXT = 100_000


class NotSignedIn(Exception):
    """The page needs a session. ``back`` is the page to come back to."""

    def __init__(self, back: str) -> None:
        super().__init__("not signed in")
        self.back = back


@dataclass(frozen=True, slots=True)
class Console:
    """One request of a person who is signed in. ``tenant`` is None if the key may not read it."""

    request: Request
    services: ApiServices
    session: SignedIn
    api: ApiCalls
    tenant: Mapping[str, Any] | None

    @property
    def now(self) -> datetime:
        """Return the present in UTC."""
        return self.services.clock()

    @property
    def zone(self) -> tzinfo:
        """Return the zone in which this browser wants times."""
        return _zone(self.request)

    @property
    def zone_name(self) -> str:
        """Return the name of that zone."""
        return getattr(self.zone, "key", "UTC")

    def page(self, template: str, title: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page inside the frame."""
        return page(
            f"console/{template}",
            status=status,
            policy=POLICY,
            title=title,
            console=self,
            csrf=self.session.csrf_token,
            may_change=not self.session.is_read_only,
            theme=theme_of(self.request),
            words=words,
            at=lambda text, form="full": words.at(text, self.zone, form),
            now=self.now,
            **values,
        )


async def _console(request: Request, services: InjectedServices) -> AsyncIterator[Console]:
    session = await run_in_threadpool(signed_in, request, services)
    if session is None:
        raise NotSignedIn(_address(request))
    async with api_client(request) as client:
        api = ApiCalls(client, session)
        try:
            tenant = await api.get_or_none("/tenant")
        except ApiRefused as refused:
            if refused.status == 401:
                raise NotSignedIn(_address(request)) from None
            raise
        api.made.clear()
        yield Console(request, services, session, api, tenant)


InjectedConsole = Annotated[Console, Depends(_console)]
Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """Return the fields of a sent form, the last of each name."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: value[:_LONGEST_TEXT] for name, value in fields}


async def _checked_form(console: InjectedConsole) -> Form:
    form = await read_form(console.request)
    if not is_from_here(console.request) or not has_csrf_token(console.session, form.get(CSRF_FIELD, "")):
        raise ApiRefused(
            403, {"code": "stale_form", "detail": "This form is not of your session. Open the page again."}
        )
    return form


PostedForm = Annotated[Form, Depends(_checked_form)]


def see_other(path: str, *, told: str = "") -> RedirectResponse:
    """Lead to a page after something was changed; ``told`` names what to say there."""
    mark = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{mark}told={quote(told)}" if told else path, status_code=303)


def safe_return(text: str | None) -> str:
    """Return the page that a sign-in leads back to, the first one if it is none of ours."""
    if text and _OWN_PAGE.match(text) and len(text) <= _LONGEST_RETURN:
        return text
    return "/console"


def theme_of(request: Request) -> str:
    """Return the colours that this browser wants."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else THEMES[0]


def install(app: FastAPI) -> None:
    """Have the application answer what the pages of the console raise."""
    app.add_exception_handler(NotSignedIn, _on_not_signed_in)
    app.add_exception_handler(ApiRefused, _on_refused)


async def _on_not_signed_in(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedIn)  # noqa: S101 - registered for it
    return RedirectResponse(f"{SIGN_IN_PATH}?back={quote(error.back)}", status_code=303)


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiRefused)  # noqa: S101 - registered for it
    if error.status == 401:
        return await _on_not_signed_in(request, NotSignedIn(_address(request)))
    return page(
        "console/refused.html", status=error.status, policy=POLICY, refused=error, words=words, theme=theme_of(request)
    )


def _address(request: Request) -> str:
    if request.method != "GET":
        return "/console"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _zone(request: Request) -> tzinfo:
    return find_zone(request.cookies.get(ZONE_COOKIE, "").replace("%2F", "/")[:64]) or UTC
