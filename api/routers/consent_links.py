"""Links that live for days: to an administrator, and for whoever waits for one."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from api.connect.administrators import to_admin_page
from api.connect.authorize import go_on_at_once, requested_continuation
from api.connect.endings import send_to_provider, too_many_tries, unknown_link
from api.dependencies import InjectedServices
from api.pages import message_page
from api.routers.consent import PAGES
from meetbot.calendars.kept_links import KeptLink, read_kept_link
from meetbot.storage.admin_consents import find_admin_consent
from meetbot.storage.waiting_users import count_open_attempts, find_waiting, lock_row

router = APIRouter(tags=["connect"])
# Mail filters open links too, several of them and more than once.
_ADMINISTRATORS_AT_ONCE = 30
_CONTINUATIONS_AT_ONCE = 10


@router.get(
    "/calendar/admin-consent/{token}",
    status_code=302,
    response_class=Response,
    responses=PAGES,
    summary="Approve for a directory, from an admin_consent_url",
)
def open_admin_consent(token: str, services: InjectedServices) -> Response:
    """Send an administrator's browser to Microsoft's admin consent page.

    Works until an administrator has approved by it, for thirty days at most. The browser that opened it comes back, and signs
    in once more.
    """
    claim = read_kept_link(token)
    if claim is None:
        return unknown_link()
    with services.database.transaction(claim.tenant_id) as session:
        link = find_admin_consent(session, claim.tenant_id, claim.id, for_update=True)
        if link is None or not claim.holds_for(KeptLink.ADMIN_CONSENT, link.link_key):
            return unknown_link()
        if link.used_at is not None:
            return _used()
        if link.expires_at <= services.clock():
            return unknown_link()
        if count_open_attempts(session, claim.tenant_id, admin_consent_id=link.id) >= _ADMINISTRATORS_AT_ONCE:
            return too_many_tries()
        redirect = to_admin_page(session, services, link)
    return unknown_link() if redirect is None else send_to_provider(services, redirect)


@router.get(
    "/calendar/continue/{token}",
    status_code=302,
    response_class=Response,
    responses=PAGES,
    summary="Connect after an administrator was asked, from a connect_url",
)
def continue_connection(token: str, services: InjectedServices) -> Response:
    """Send the end-user's browser to the provider.

    Works until the calendar is connected, for thirty days at most.
    """
    claim = read_kept_link(token)
    if claim is None:
        return unknown_link()
    with services.database.transaction(claim.tenant_id) as session:
        lock_row(session, claim.tenant_id, claim.id)
        row = find_waiting(session, claim.tenant_id, claim.id, now=services.clock())
        if row is None or not claim.holds_for(KeptLink.CONTINUE, row.link_key):
            return unknown_link()
        if count_open_attempts(session, claim.tenant_id, waiting_user_id=row.id) >= _CONTINUATIONS_AT_ONCE:
            return too_many_tries()
        redirect = go_on_at_once(session, services, claim.tenant_id, requested_continuation(row))
    return unknown_link() if redirect is None else send_to_provider(services, redirect)


def _used() -> Response:
    return message_page(
        "Approved already",
        "An administrator has approved by this link. Whoever wants to connect a calendar can do so now.",
        status=400,
    )
