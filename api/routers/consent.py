"""The pages of the connect flow: the end-user's browser goes to the provider and comes back."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.connect.administrators import AdminAnswer, go_on
from api.connect.authorize import go_on_at_once, redirect_to_provider, requested_reconnection
from api.connect.callback import CallbackParameters, ConsentResult, finish_consent, resume_exchange
from api.connect.endings import ended_page, is_https, send_to_provider, too_many_tries, unknown_link
from api.dependencies import ApiServices, InjectedServices
from api.pages import message_page
from api.problems import described
from api.routers.connect import ProviderName, provider_named
from meetbot.calendars.connect_flow import (
    ConnectError,
    Token,
    browser_hash,
    cookie_name,
    is_browser_secret,
    is_issuer_of,
    read_reconnect_token,
    read_token,
)
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.errors import VaultError
from meetbot.storage import connect_attempts
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.tables import ConnectAttempt

router = APIRouter(tags=["connect"])
_RECONNECTIONS_AT_ONCE = 10
_log = structlog.get_logger(__name__)

PAGES = described(400, 404, 409, 422, 429, 503)
PAGES[200] = {
    "description": "A page that says how it ended, if there is no `redirect_url`.",
    "content": {"text/html": {}},
}
PAGES[202] = {
    "description": "A page that goes on by itself: the consent is given, and the calendar is not connected yet.",
    "content": {"text/html": {}},
}
PAGES[302] = {"description": "On to the provider, or back to the customer."}
PAGES[400]["description"] = "A page: the link is forged, was used, or belongs to another browser."
PAGES[503]["description"] = (
    "A page that tries again by itself: what we depend on does not answer, and nothing is spent."
)
for _status in (400, 429, 503):
    PAGES[_status]["content"]["text/html"] = {}


@router.get(
    "/calendar/authorize/{ticket}",
    status_code=302,
    response_class=Response,
    responses=PAGES,
    summary="Go to the provider's consent page",
)
def authorize(ticket: str, services: InjectedServices) -> Response:
    """Send the end-user's browser to the provider.

    Works once, within ten minutes, and sets the cookie that the callback needs.
    """
    token = read_token(ticket)
    if token is None:
        return unknown_link()
    with services.database.transaction(token.tenant_id) as session:
        attempt = connect_attempts.find_by_ticket(session, token.tenant_id, token.digest)
        if attempt is None:
            return unknown_link()
        if attempt.state_hash is None and attempt.expires_at <= services.clock():
            return ended_page(services, ConsentResult(attempt, error=ConnectError.EXPIRED))
        redirect = redirect_to_provider(services, attempt, session)
    return unknown_link() if redirect is None else send_to_provider(services, redirect)


@router.get(
    "/calendar/reconnect/{token}",
    status_code=302,
    response_class=Response,
    responses=PAGES,
    summary="Give access again, from a reconnect_url",
)
def reconnect_from_link(token: str, services: InjectedServices) -> Response:
    """Send the end-user's browser to the provider. Works until the calendar is connected again."""
    claim = read_reconnect_token(token)
    if claim is None:
        return unknown_link()
    with services.database.transaction(claim.tenant_id) as session:
        user = find_calendar_user(session, claim.tenant_id, claim.calendar_user_id)
        if user is None or user.state != CalendarUserStatus.NEEDS_RECONNECT or not claim.holds_for(user.token_digest):
            return unknown_link()
        if connect_attempts.count_open_reconnections(session, claim.tenant_id, user.id) >= _RECONNECTIONS_AT_ONCE:
            return too_many_tries()
        redirect = go_on_at_once(session, services, claim.tenant_id, requested_reconnection(user))
    return unknown_link() if redirect is None else send_to_provider(services, redirect)


Parameter = Annotated[str, Query()]


@router.get(
    "/calendar/callback/{provider}",
    status_code=302,
    response_class=Response,
    responses=PAGES,
    summary="Come back from the provider",
)
def callback(
    request: Request,
    provider: ProviderName,
    services: InjectedServices,
    state: Parameter = "",
    code: Parameter = "",
    error: Parameter = "",
    error_description: Parameter = "",
    iss: Parameter = "",
    admin_consent: Parameter = "",
    tenant: Parameter = "",
) -> Response:
    """Take the end-user's browser back from the provider.

    A state that is forged, was used or belongs to another browser stores nothing and gets a 400 page. Microsoft also sends an
    administrator here who opened an `admin_consent_url`; that browser goes on to a sign-in, which proves the directory.
    """
    wanted = provider_named(provider)
    token = read_token(state)
    secret = request.cookies.get(cookie_name(token, secure=is_https(services))) if token is not None else None
    if token is None:
        return _refused(wanted, "unknown_state")
    if secret is None or not is_browser_secret(secret):
        return _refused(wanted, "other_browser")
    exchanging = _exchanging_attempt(services, token, secret)
    if exchanging is not None and exchanging.provider == wanted:
        return _answered(services, token, resume_exchange(services, exchanging))
    attempt = _unused_attempt(services, token, secret)
    if attempt is None or attempt.provider != wanted:
        return _refused(wanted, "unknown_state")
    if not _came_from(services, wanted, iss):
        return _refused(wanted, "other_issuer")
    if attempt.admin_consent_id is not None and attempt.directory is None:
        told = AdminAnswer(token, secret, admin_consent, tenant, error, error_description)
        return _approving(services, attempt, told)
    returned = CallbackParameters(token, secret, code if not error else "", error, error_description)
    return _finish(services, attempt, returned)


def _unused_attempt(services: ApiServices, token: Token, secret: str) -> ConnectAttempt | None:
    with services.database.transaction(token.tenant_id) as session:
        return connect_attempts.find_unused(
            session, token.tenant_id, state_hash=token.digest, browser_hash=browser_hash(secret)
        )


def _exchanging_attempt(services: ApiServices, token: Token, secret: str) -> ConnectAttempt | None:
    """The attempt whose page tries again until the worker has exchanged the code.

    The cookie ends with it, so that a browser can ask only until then.
    """
    with services.database.transaction(token.tenant_id) as session:
        return connect_attempts.find_exchanging(
            session, token.tenant_id, state_hash=token.digest, browser_hash=browser_hash(secret)
        )


def _came_from(services: ApiServices, provider: Provider, issuer: str) -> bool:
    settings = services.settings
    url = settings.google_authorize_url if provider is Provider.GOOGLE else settings.microsoft_login_url
    return not issuer or is_issuer_of(provider, url, issuer)


def _approving(services: ApiServices, attempt: ConnectAttempt, told: AdminAnswer) -> Response:
    """Send the administrator's browser on to the sign-in, or tell how it ended."""
    result = go_on(services, attempt, told)
    if result is None:
        return unknown_link()
    if isinstance(result, ConsentResult):
        return _answered(services, told.state, result)
    return send_to_provider(services, result)


def _refused(provider: Provider, reason: str) -> Response:
    _log.warning("connect.callback_refused", provider=provider.value, reason=reason)
    return unknown_link()


def _finish(services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters) -> Response:
    try:
        result = finish_consent(services, attempt, returned)
    except VaultError:
        # Neither state nor code is spent yet, so loading the page again tries again.
        return message_page(
            "One moment, please",
            "We cannot store your consent safely right now. This page tries again by itself.",
            status=503,
            reload_seconds=5,
        )
    return unknown_link() if result is None else _answered(services, returned.state, result)


def _answered(services: ApiServices, state: Token, result: ConsentResult) -> Response:
    if result.is_pending:
        return message_page(
            "One moment, please",
            "Your consent is being stored. This page goes on by itself; you may also close it.",
            status=202,
            reload_seconds=3,
        )
    answer = ended_page(services, result)
    answer.delete_cookie(
        cookie_name(state, secure=is_https(services)), path="/", secure=is_https(services), httponly=True
    )
    return answer
