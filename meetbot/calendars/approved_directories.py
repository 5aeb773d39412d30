"""What happens when an administrator has approved a client in a directory.

It is believed only after somebody has signed in to that very directory and was given our calendar permission there
(`record_approval` is called with the outcome of such a sign-in): the parameters of the provider's redirect prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, select

from meetbot.calendars.connect_flow import ConnectError, reconnect_url
from meetbot.calendars.waiting_users import connect_url
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.domain.event_types import WebhookEventType
from meetbot.resources.calendar_user import calendar_user_document
from meetbot.resources.waiting_user import WaitingLinks, waiting_user_document
from meetbot.storage import connect_attempts, outbox
from meetbot.storage.account_calendars import default_mode
from meetbot.storage.admin_consents import find_admin_consent, find_approval, note_approval
from meetbot.storage.audit_log import append
from meetbot.storage.outbox import Message
from meetbot.storage.tables import CalendarUser, ConnectAttempt
from meetbot.storage.waiting_users import approve_waiting

_MESSAGES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ProvenDirectory:
    """A directory in which a client was seen to have our calendar permission.

    ``oauth_client_id`` names the tenant's own client, None ours; ``client_id`` is its id either way.
    """

    directory: str
    client_id: str
    oauth_client_id: str | None


def record_approval(
    session: Session, attempt: ConnectAttempt, proven: ProvenDirectory, *, public_url: str, now: datetime
) -> ConnectError | None:
    """Use up the link, store the approval, tell all who waited; return why not, or None."""
    if not connect_attempts.hold_attempt(session, attempt):
        return ConnectError.EXPIRED
    tenant_id = attempt.tenant_id
    link = find_admin_consent(session, tenant_id, attempt.admin_consent_id or "", for_update=True)
    if link is None:
        return ConnectError.EXPIRED
    if link.used_at is not None:
        # Two administrators opened it. The second one is told the truth, and nobody hears of it again.
        known = find_approval(session, tenant_id, proven.client_id, proven.directory)
        return None if known is not None else ConnectError.EXPIRED
    link.used_at = now
    session.add(link)
    note_approval(session, tenant_id, proven.client_id, proven.directory, now=now)
    released = _released(session, tenant_id, proven, public_url=public_url, now=now)
    told = {
        "id": link.id,
        "provider": str(Provider.MICROSOFT),
        "directory": proven.directory,
        "client_id": proven.client_id,
        "granted_at": now.isoformat(),
        "waiting": len(released),
        "sequence": 1,
    }
    messages = [Message(WebhookEventType.ADMIN_CONSENT_GRANTED, told), *released]
    for first in range(0, len(messages), _MESSAGES_AT_ONCE):
        outbox.emit_many(session, tenant_id, messages[first : first + _MESSAGES_AT_ONCE])
    detail: dict[str, DetailValue] = {"client_id": proven.client_id, "directory": proven.directory}
    append(session, tenant_id, AuditFact(now, "browser", "admin_consent.granted", link.id, detail=detail))
    return None


def _released(
    session: Session, tenant_id: str, proven: ProvenDirectory, *, public_url: str, now: datetime
) -> list[Message]:
    waiting = approve_waiting(session, tenant_id, proven.oauth_client_id, proven.directory, now=now)
    mode = default_mode(session, tenant_id)
    documents = [
        waiting_user_document(row, links=WaitingLinks(connect_url(row, public_url)), default_mode=mode)
        for row in waiting
    ]
    for user in _disconnected(session, tenant_id, proven, now=now):
        url = reconnect_url(public_url, user.tenant_id, user.id, user.token_digest)
        documents.append(calendar_user_document(user, now=now, default_mode=mode, reconnect_url=url))
    return [Message(WebhookEventType.CALENDAR_USER_ADMIN_APPROVED, document) for document in documents]


# The subject of an account in a directory begins with the directory's id.
_TOUCH = text(
    """
    update calendar_user set sequence = sequence + 1, updated_at = :now
     where tenant_id = :tenant_id and provider = 'microsoft' and state = :state
       and starts_with(subject, :directory || ':') and oauth_client_id is not distinct from cast(:oauth_client_id as text)
    returning id
    """
)


def _disconnected(session: Session, tenant_id: str, proven: ProvenDirectory, *, now: datetime) -> list[CalendarUser]:
    """Those of the directory who had been connected, and lost their access."""
    bounds = {
        "tenant_id": tenant_id,
        "state": str(CalendarUserStatus.NEEDS_RECONNECT),
        "directory": proven.directory,
        "oauth_client_id": proven.oauth_client_id,
        "now": now,
    }
    ids = [row[0] for row in session.execute(_TOUCH, bounds)]
    if not ids:
        return []
    rows = session.exec(
        select(CalendarUser)
        .where(CalendarUser.tenant_id == tenant_id, CalendarUser.id.in_(ids))  # type: ignore[attr-defined]
        .order_by(CalendarUser.id)
        .execution_options(populate_existing=True)
    )
    return list(rows)
