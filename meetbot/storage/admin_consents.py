"""Links to administrators as rows, and the directories that administrators approved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.ids import new_id
from meetbot.storage.tables import AdminConsent, DirectoryApproval

# A link that is about to expire is of no use to somebody who gets it now.
_LEAST_LEFT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NewAdminConsent:
    """A link to make: for which directory, where it ends, and how it is made."""

    provider: str
    link_key: bytes
    lifetime: timedelta
    directory: str | None = None
    redirect_url: str | None = None


def add_admin_consent(session: Session, tenant_id: str, new: NewAdminConsent, *, now: datetime) -> AdminConsent:
    """Store a link."""
    row = AdminConsent(
        tenant_id=tenant_id,
        id=new_id("adc"),
        provider=new.provider,
        directory=new.directory,
        redirect_url=new.redirect_url,
        link_key=new.link_key,
        created_at=now,
        expires_at=now + new.lifetime,
    )
    session.add(row)
    session.flush()
    return row


def find_admin_consent(
    session: Session, tenant_id: str, admin_consent_id: str, *, for_update: bool = False
) -> AdminConsent | None:
    """Return the link, used and expired ones too. ``for_update`` locks it."""
    return session.get(
        AdminConsent,
        (tenant_id, admin_consent_id),
        with_for_update=True if for_update else None,
        populate_existing=for_update,
    )


def open_link_to(
    session: Session, tenant_id: str, provider: str, directory: str, *, now: datetime
) -> AdminConsent | None:
    """Return a link to this directory's administrators that can be shown once more."""
    return session.exec(
        select(AdminConsent)
        .where(
            AdminConsent.tenant_id == tenant_id,
            AdminConsent.provider == provider,
            AdminConsent.directory == directory,
            col(AdminConsent.redirect_url).is_(None),
            col(AdminConsent.used_at).is_(None),
            AdminConsent.expires_at > now + _LEAST_LEFT,
        )
        .order_by(col(AdminConsent.created_at).desc())
        .limit(1)
    ).first()


def usable_links(session: Session, tenant_id: str, ids: Iterable[str], *, now: datetime) -> dict[str, AdminConsent]:
    """Return those of the links that an administrator can still use, by id."""
    rows = session.exec(
        select(AdminConsent).where(
            AdminConsent.tenant_id == tenant_id,
            col(AdminConsent.id).in_(sorted(set(ids))),
            col(AdminConsent.used_at).is_(None),
            AdminConsent.expires_at > now,
        )
    )
    return {row.id: row for row in rows}


_APPROVE = text(
    """
    insert into directory_approval (tenant_id, client_id, directory, approved_at)
    values (:tenant_id, :client_id, :directory, :now)
    on conflict (tenant_id, client_id, directory) do update set approved_at = excluded.approved_at
    """
)


def note_approval(session: Session, tenant_id: str, client_id: str, directory: str, *, now: datetime) -> None:
    """Store that a directory approved a client."""
    session.execute(_APPROVE, {"tenant_id": tenant_id, "client_id": client_id, "directory": directory, "now": now})


def find_approval(session: Session, tenant_id: str, client_id: str, directory: str) -> DirectoryApproval | None:
    """Return when a directory approved a client, None if it never did."""
    return session.get(DirectoryApproval, (tenant_id, client_id, directory))
