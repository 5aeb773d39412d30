"""The tenants' own OAuth apps as rows.

Whoever changes one, or connects a calendar user through one, locks the tenant's apps first (`lock_apps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import undefer
from sqlmodel import Session, col, select

from meetbot.domain.ids import new_id
from meetbot.storage.tables import OAuthApp
from meetbot.vault.sealing import SealedSecret

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 7063))")


def lock_apps(session: Session, tenant_id: str, provider: str) -> None:
    """Keep others from changing the tenant's apps at a provider until the transaction ends."""
    session.execute(_LOCK, {"name": f"oauth_app/{tenant_id}/{provider}"})


def present_app(session: Session, tenant_id: str, provider: str) -> OAuthApp | None:
    """Return the app that new connections of the tenant use, None if they use ours."""
    return session.exec(
        select(OAuthApp).where(
            OAuthApp.tenant_id == tenant_id, OAuthApp.provider == provider, col(OAuthApp.retired_at).is_(None)
        )
    ).one_or_none()


def find_app(
    session: Session, tenant_id: str, provider: str, client_id: str, *, with_secret: bool = False
) -> OAuthApp | None:
    """Return the tenant's app of this client id, a retired one too."""
    statement = select(OAuthApp).where(
        OAuthApp.tenant_id == tenant_id, OAuthApp.provider == provider, OAuthApp.client_id == client_id
    )
    return session.exec(statement.options(undefer("*")) if with_secret else statement).one_or_none()


def get_app(session: Session, tenant_id: str, app_id: str) -> OAuthApp | None:
    """Return the tenant's app of this id of ours."""
    return session.get(OAuthApp, (tenant_id, app_id))


@dataclass(frozen=True, slots=True)
class AppUse:
    """An app, and how many calendar users have given their consent to it."""

    app: OAuthApp
    users: int


_USERS = text(
    """
    select oauth_client_id, count(*) from calendar_user
     where tenant_id = :tenant_id and provider = :provider and oauth_client_id is not null and state <> 'disconnecting'
     group by 1
    """
)


def list_apps(session: Session, tenant_id: str, provider: str) -> list[AppUse]:
    """Return the tenant's apps at a provider: the present one, then the retired, newest first."""
    users = {row[0]: int(row[1]) for row in session.execute(_USERS, {"tenant_id": tenant_id, "provider": provider})}
    rows = session.exec(
        select(OAuthApp)
        .where(OAuthApp.tenant_id == tenant_id, OAuthApp.provider == provider)
        .order_by(col(OAuthApp.retired_at).desc().nulls_first(), col(OAuthApp.id))
    )
    return [AppUse(row, users.get(row.client_id, 0)) for row in rows]


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app to store."""

    client_id: str
    directory: str | None
    sealed: SealedSecret


def put_app(session: Session, tenant_id: str, provider: str, new: NewApp, *, now: datetime) -> OAuthApp:
    """Make this the present app, in the place of the one that was.

    One with the same client id, present or retired, keeps its users and gets the new secret.
    """
    retire_app(session, tenant_id, provider, now=now, but=new.client_id)
    app = find_app(session, tenant_id, provider, new.client_id)
    if app is None:
        app = OAuthApp(
            tenant_id=tenant_id,
            id=new_id("oap"),
            provider=provider,
            client_id=new.client_id,
            kek_version=new.sealed.kek_version,
            wrapped_key=new.sealed.wrapped_key,
            secret_ciphertext=new.sealed.nonce_and_ciphertext,
            created_at=now,
            updated_at=now,
        )
    app.kek_version, app.wrapped_key = new.sealed.kek_version, new.sealed.wrapped_key
    app.secret_ciphertext = new.sealed.nonce_and_ciphertext
    app.directory, app.retired_at, app.error_code, app.updated_at = new.directory, None, None, now
    session.add(app)
    session.flush()
    return app


def retire_app(session: Session, tenant_id: str, provider: str, *, now: datetime, but: str = "") -> None:
    """Have new connections use the present app no more, unless its client id is ``but``."""
    app = present_app(session, tenant_id, provider)
    if app is not None and app.client_id != but:
        app.retired_at = app.updated_at = now
        session.add(app)
        session.flush()


_DESTROY = text(
    """
    delete from oauth_app app
     where app.tenant_id = :tenant_id and app.provider = :provider and app.retired_at is not null
       and not exists (select 1 from calendar_user u
                        where u.tenant_id = app.tenant_id and u.provider = app.provider
                          and u.oauth_client_id = app.client_id and u.state <> 'disconnecting')
    returning app.client_id
    """
)


def destroy_unused(session: Session, tenant_id: str, provider: str) -> Sequence[str]:
    """Delete the retired apps that no calendar user needs, with their secrets.

    Return their client ids.
    """
    rows = session.execute(_DESTROY, {"tenant_id": tenant_id, "provider": provider})
    return sorted(row[0] for row in rows)


@dataclass(frozen=True, slots=True)
class ConsentSeen:
    """What became of one consent to an app."""

    state: str
    error_code: str | None
    scopes: frozenset[str]
    consented_at: datetime | None
    state_changed_at: datetime


_CONSENTS = text(
    """
    select state, error_code, scopes, consented_at, state_changed_at from calendar_user
     where tenant_id = :tenant_id and provider = :provider and oauth_client_id = :client_id and state <> 'disconnecting'
     order by consented_at limit :most
    """
)


def consents_seen(session: Session, app: OAuthApp, *, most: int) -> list[ConsentSeen]:
    """Return the consents to an app, the oldest first."""
    bounds = {"tenant_id": app.tenant_id, "provider": app.provider, "client_id": app.client_id, "most": most}
    return [
        ConsentSeen(row.state, row.error_code, frozenset(row.scopes), row.consented_at, row.state_changed_at)
        for row in session.execute(_CONSENTS, bounds)
    ]


_NOTE = text(
    """
    update oauth_app set error_code = :code
     where tenant_id = :tenant_id and id = :id and error_code is distinct from :code
    """
)


def note_app_error(session: Session, tenant_id: str, app_id: str, code: str | None) -> None:
    """Note how the provider took the client when it was last asked; None: well."""
    session.execute(_NOTE, {"tenant_id": tenant_id, "id": app_id, "code": code})
