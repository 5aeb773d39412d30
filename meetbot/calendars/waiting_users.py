"""Whoever was turned away because an administrator must agree first, and how they go on.

They are kept as calendar users without an account or a token (`WaitingUser`), so that nothing runs for them and nothing counts
them. The first consent that is stored for the same person takes the row's place, and its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from meetbot.calendars.kept_links import LIFETIME, KeptLink, kept_link, new_link_key
from meetbot.domain.event import Provider
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.ids import new_id
from meetbot.resources.calendar_user import CalendarUserResource
from meetbot.resources.waiting_user import WaitingLinks, waiting_user_document, waiting_user_resource
from meetbot.storage import connect_attempts, outbox
from meetbot.storage.account_calendars import default_mode
from meetbot.storage.admin_consents import NewAdminConsent, add_admin_consent, open_link_to, usable_links
from meetbot.storage.tables import AdminConsent, CalendarUser, ConnectAttempt, WaitingUser
from meetbot.storage.waiting_users import WaitingKey, add_waiting, delete_waiting, lock_waiting, touch_waiting


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Somebody who was turned away.

    ``waiting`` is None for a reconnection, whose calendar user waits as it is. ``link`` is what to forward; None at Google,
    whose administrators have no page for it.
    """

    waiting: WaitingUser | None
    link: AdminConsent | None


def turn_away(
    session: Session, attempt: ConnectAttempt, *, directory: str | None, public_url: str, now: datetime
) -> TurnedAway | None:
    """Keep the person of a refused attempt waiting, with a link for the administrator.

    ``directory`` is the person's, if it is known. Repeating it changes nothing. None if the attempt was erased meanwhile.
    """
    if not connect_attempts.hold_attempt(session, attempt):
        return None
    if attempt.reconnect_calendar_user_id is not None:
        return TurnedAway(None, link_for_page(session, attempt, directory=directory, now=now))
    key = WaitingKey(attempt.tenant_id, attempt.provider, attempt.customer_user_id)
    row = _of_attempt(lock_waiting(session, key), attempt)
    is_new = row is None
    if row is None:
        row = _new_row(attempt, now)
        add_waiting(session, row)
    elif attempt.waiting_user_id is None:
        _ask_anew(row, attempt)
    was = (is_new, row.approved_at, row.admin_consent_id)
    row.oauth_client_id, row.approved_at, row.expires_at = attempt.oauth_client_id, None, now + LIFETIME
    row.directory = directory or row.directory
    link = _kept(session, row, now) or link_for_page(session, attempt, directory=row.directory, now=now)
    row.admin_consent_id = link.id if link is not None else None
    if was != (False, None, row.admin_consent_id):
        if not is_new:
            touch_waiting(session, row, now=now)
        links = _links(row, link, public_url)
        told = waiting_user_document(row, links=links, default_mode=default_mode(session, row.tenant_id))
        outbox.emit(session, row.tenant_id, WebhookEventType.CALENDAR_USER_AWAITING_ADMIN, told)
    session.add(row)
    session.flush()
    return TurnedAway(row, link)


def known_link(session: Session, attempt: ConnectAttempt, *, now: datetime) -> AdminConsent | None:
    """Return the link that was made when this person was turned away, if it is good."""
    key = WaitingKey(attempt.tenant_id, attempt.provider, attempt.customer_user_id)
    row = _of_attempt(lock_waiting(session, key), attempt)
    return _kept(session, row, now) if row is not None else None


def link_for_page(
    session: Session, attempt: ConnectAttempt, *, directory: str | None, now: datetime
) -> AdminConsent | None:
    """Return a link that a page can show to whoever is to forward it.

    People of one directory get the same one, as long as it is good. Where the directory is not known everybody gets their own:
    one that an administrator has used is of no use to another directory.
    """
    if attempt.provider != Provider.MICROSOFT:
        return None
    if directory is not None:
        found = open_link_to(session, attempt.tenant_id, attempt.provider, directory, now=now)
        if found is not None:
            return found
    new = NewAdminConsent(attempt.provider, new_link_key(), LIFETIME, directory)
    return add_admin_consent(session, attempt.tenant_id, new, now=now)


def take_over(session: Session, attempt: ConnectAttempt, addresses: Iterable[str]) -> WaitingUser | None:
    """Delete the row of whoever this attempt connects, and return it.

    It is the one whose link was opened, or the one that waits for the account of these addresses.
    """
    if attempt.reconnect_calendar_user_id is not None:
        return None
    known = {address.casefold() for address in addresses}
    for row in lock_waiting(session, WaitingKey(attempt.tenant_id, attempt.provider, attempt.customer_user_id)):
        hint = row.login_hint
        if row.id == attempt.waiting_user_id or hint is None or hint.casefold() in known:
            delete_waiting(session, row)
            return row
    return None


def follow_sequence(session: Session, user: CalendarUser, waiting: WaitingUser) -> None:
    """Have the calendar user's sequence go on where that of the waiting one ended."""
    user.sequence = waiting.sequence + 1
    session.add(user)
    session.flush()


def tell_gone(session: Session, waiting: WaitingUser) -> None:
    """Tell the tenant that this id is gone: the account is connected under another."""
    outbox.emit(session, waiting.tenant_id, WebhookEventType.CALENDAR_USER_DISCONNECTED, farewell(waiting))


def farewell(waiting: WaitingUser) -> dict[str, Any]:
    """Return what is told of somebody who waits no more: the tenant's own id, and no address."""
    return {
        "id": waiting.id,
        "customer_user_id": waiting.customer_user_id,
        "provider": waiting.provider,
        "state": "disconnected",
        "sequence": waiting.sequence + 1,
    }


def resources_of(
    session: Session, tenant_id: str, rows: list[WaitingUser], *, public_url: str, now: datetime
) -> list[CalendarUserResource]:
    """Return these rows as customers see them, with their links."""
    wanted = [row.admin_consent_id for row in rows if row.admin_consent_id is not None]
    links = usable_links(session, tenant_id, wanted, now=now) if wanted else {}
    mode = default_mode(session, tenant_id)
    return [
        waiting_user_resource(
            row, links=_links(row, links.get(row.admin_consent_id or ""), public_url), default_mode=mode
        )
        for row in rows
    ]


def connect_url(row: WaitingUser, public_url: str) -> str:
    """Return where somebody who waits goes on."""
    return kept_link(KeptLink.CONTINUE, public_url, row.tenant_id, row.id, row.link_key)


def admin_consent_url(row: AdminConsent, public_url: str) -> str:
    """Return the link to forward to an administrator."""
    return kept_link(KeptLink.ADMIN_CONSENT, public_url, row.tenant_id, row.id, row.link_key)


def _links(row: WaitingUser, link: AdminConsent | None, public_url: str) -> WaitingLinks:
    forward = admin_consent_url(link, public_url) if link is not None else None
    return WaitingLinks(connect_url(row, public_url), forward)


def _kept(session: Session, row: WaitingUser, now: datetime) -> AdminConsent | None:
    """The link that was shown before, if it is still good: it may lie in somebody's mailbox."""
    if row.admin_consent_id is None:
        return None
    return usable_links(session, row.tenant_id, [row.admin_consent_id], now=now).get(row.admin_consent_id)


def _of_attempt(rows: list[WaitingUser], attempt: ConnectAttempt) -> WaitingUser | None:
    """The row of the same person: whose link was opened, or with the same address."""
    hint = (attempt.login_hint or "").casefold()
    for row in rows:
        if row.id == attempt.waiting_user_id:
            return row
    return next((row for row in rows if (row.login_hint or "").casefold() == hint), None)


def _ask_anew(row: WaitingUser, attempt: ConnectAttempt) -> None:
    """Take over what a new request of the customer says about the connection."""
    row.redirect_url = attempt.redirect_url
    row.attributes = row.attributes if attempt.attributes is None else attempt.attributes
    row.rules = row.rules if attempt.rules is None else attempt.rules


def _new_row(attempt: ConnectAttempt, now: datetime) -> WaitingUser:
    return WaitingUser(
        tenant_id=attempt.tenant_id,
        id=new_id("cu"),
        provider=attempt.provider,
        customer_user_id=attempt.customer_user_id,
        login_hint=attempt.login_hint,
        redirect_url=attempt.redirect_url,
        attributes=attempt.attributes,
        rules=attempt.rules,
        oauth_client_id=attempt.oauth_client_id,
        link_key=new_link_key(),
        created_at=now,
        updated_at=now,
        expires_at=now + LIFETIME,
    )
