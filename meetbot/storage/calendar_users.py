"""Calendar users as rows: finding them, and storing what a completed consent gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, text, tuple_
from sqlmodel import Session, col, select

from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.storage.tables import CalendarUser
from meetbot.vault.sealing import SealedSecret


@dataclass(frozen=True, slots=True)
class CalendarUserFilter:
    """Which calendar users to list: all that is given must hold."""

    customer_user_id: str | None = None
    provider: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class CalendarUserRef:
    """What it takes to reach a calendar user's workflow."""

    tenant_id: str
    id: str
    provider: str


def find_calendar_user(
    session: Session, tenant_id: str, calendar_user_id: str, *, for_update: bool = False
) -> CalendarUser | None:
    """Return the calendar user, if there is one that is not being erased.

    ``for_update`` locks the row until the transaction ends.
    """
    row = session.get(CalendarUser, (tenant_id, calendar_user_id), with_for_update=True if for_update else None)
    return row if row is not None and row.state != CalendarUserStatus.DISCONNECTING else None


def count_calendar_users(session: Session, tenant_id: str) -> int:
    """Return how many calendar users the tenant has, those being erased left out."""
    counted = select(func.count()).select_from(CalendarUser).where(*_present(tenant_id))
    return session.exec(counted).one()


def first_user_ids(session: Session, tenant_id: str, *, limit: int) -> list[str]:
    """Return the ids of the first calendar users of the tenant, in the order of their ids."""
    found = select(CalendarUser.id).where(*_present(tenant_id)).order_by(col(CalendarUser.id)).limit(limit)
    return list(session.exec(found))


def _present(tenant_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(CalendarUser.tenant_id) == tenant_id,
        col(CalendarUser.state) != CalendarUserStatus.DISCONNECTING.value,
    )


def list_calendar_users(
    session: Session,
    tenant_id: str,
    wanted: CalendarUserFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[CalendarUser]:
    """Return a page of calendar users in the order of their creation."""
    statement = select(CalendarUser).where(
        CalendarUser.tenant_id == tenant_id, CalendarUser.state != CalendarUserStatus.DISCONNECTING
    )
    if wanted.customer_user_id is not None:
        statement = statement.where(CalendarUser.customer_user_id == wanted.customer_user_id)
    if wanted.provider is not None:
        statement = statement.where(CalendarUser.provider == wanted.provider)
    if wanted.state is not None:
        statement = statement.where(CalendarUser.state == wanted.state)
    if after is not None:
        statement = statement.where(tuple_(col(CalendarUser.created_at), col(CalendarUser.id)) > after)
    return list(session.exec(statement.order_by(col(CalendarUser.created_at), col(CalendarUser.id)).limit(limit)))


def page_of_refs(session: Session, tenant_id: str, *, after_id: str, limit: int) -> list[CalendarUserRef]:
    """Return a page of the connected calendar users in the order of their ids."""
    rows = session.exec(
        select(CalendarUser.id, CalendarUser.provider)
        .where(CalendarUser.tenant_id == tenant_id, col(CalendarUser.state).in_(sorted(CONNECTED)))
        .where(CalendarUser.id > after_id)
        .order_by(col(CalendarUser.id))
        .limit(limit)
    )
    return [CalendarUserRef(tenant_id, found, provider) for found, provider in rows]


@dataclass(frozen=True, slots=True)
class AccountKey:
    """What makes a calendar user the same one if the account is connected again."""

    tenant_id: str
    provider: str
    subject: str
    customer_user_id: str


def lock_identity(session: Session, identity: AccountKey) -> CalendarUser | None:
    """Return the calendar user with this identity, if any, and lock the identity.

    The lock lasts until the transaction ends.
    """
    name = "/".join((identity.tenant_id, identity.provider, identity.subject, identity.customer_user_id))
    session.execute(_LOCK, {"name": f"calendar_user/{name}"})
    return session.exec(
        select(CalendarUser)
        .where(
            CalendarUser.tenant_id == identity.tenant_id,
            CalendarUser.provider == identity.provider,
            CalendarUser.subject == identity.subject,
            CalendarUser.customer_user_id == identity.customer_user_id,
        )
        .with_for_update()
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """What a consent gave.

    ``sealed`` None: no new refresh token. ``oauth_client_id`` None: it was given to our client.
    """

    email: str
    scopes: list[str]
    sealed: SealedSecret | None
    oauth_client_id: str | None
    email_aliases: Sequence[str] = ()


def add_calendar_user(
    session: Session,
    identity: AccountKey,
    *,
    calendar_user_id: str,
    consent: GivenConsent,
    attributes: Mapping[str, Any],
    now: datetime,
) -> CalendarUser:
    """Store a calendar user that has just given consent, with a refresh token."""
    sealed = consent.sealed
    assert sealed is not None  # noqa: S101 - for the type checker: without a refresh token nobody is connected
    user = CalendarUser(
        tenant_id=identity.tenant_id,
        id=calendar_user_id,
        provider=identity.provider,
        subject=identity.subject,
        customer_user_id=identity.customer_user_id,
        email=consent.email,
        email_aliases=list(consent.email_aliases),
        state=CalendarUserStatus.CONNECTING,
        state_changed_at=now,
        attributes=dict(attributes),
        scopes=consent.scopes,
        oauth_client_id=consent.oauth_client_id,
        consented_at=now,
        kek_version=sealed.kek_version,
        wrapped_key=sealed.wrapped_key,
        refresh_ciphertext=sealed.nonce_and_ciphertext,
    )
    session.add(user)
    session.flush()
    session.refresh(user)
    return user


def renew_calendar_user(
    session: Session,
    user: CalendarUser,
    *,
    consent: GivenConsent,
    attributes: Mapping[str, Any] | None,
    now: datetime,
) -> CalendarUser:
    """Store a consent given again.

    Without a new refresh token the stored one stays, with its client. A new one was sealed for the next version.

    The version grows either way: a loss of access noticed with the old grant must not undo the new one.
    """
    user.email = consent.email
    user.email_aliases = list(consent.email_aliases)
    user.not_before, user.asked_at, user.reconnect_notices = None, now, 0
    user.scopes = consent.scopes
    user.token_version += 1
    if attributes is not None:
        user.attributes = dict(attributes)
    sealed = consent.sealed
    if sealed is not None:
        user.oauth_client_id, user.consented_at = consent.oauth_client_id, now
        user.kek_version = sealed.kek_version
        user.wrapped_key = sealed.wrapped_key
        user.refresh_ciphertext = sealed.nonce_and_ciphertext
        user.sealed_version = user.token_version
    if user.state == CalendarUserStatus.NEEDS_RECONNECT:
        user.state = CalendarUserStatus.CONNECTING
        user.state_changed_at = now
    user.error_code = None
    return _touched(session, user, now)


def set_attributes(
    session: Session, user: CalendarUser, attributes: Mapping[str, Any], *, now: datetime
) -> CalendarUser:
    """Replace the attributes that rules can refer to."""
    user.attributes = dict(attributes)
    return _touched(session, user, now)


def set_calendars_mode(session: Session, user: CalendarUser, mode: CalendarsMode, *, now: datetime) -> CalendarUser:
    """Set which of the account's calendars are read."""
    if user.calendars_mode == mode:
        return user
    user.calendars_mode = mode
    return _touched(session, user, now)


def _touched(session: Session, user: CalendarUser, now: datetime) -> CalendarUser:
    user.sequence += 1
    user.updated_at = now
    session.add(user)
    session.flush()
    return user


_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 7062))")
