"""Tenants as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from meetbot.storage.tables import Tenant


def find_tenant(session: Session, tenant_id: str) -> Tenant | None:
    """Return the tenant, None if there is none."""
    return session.get(Tenant, tenant_id)


def add_tenant(
    session: Session, tenant_id: str, *, name: str, region: str, home_url: str | None = None, mode: str = "live"
) -> None:
    """Store a new tenant. ``home_url`` is where one of another region lives."""
    session.add(Tenant(id=tenant_id, name=name, region=region, home_url=home_url, mode=mode))
    session.flush()


def lock_tenant(session: Session, tenant_id: str) -> Tenant | None:
    """Return the tenant with its row locked until the transaction ends, None if there is none."""
    return session.get(Tenant, tenant_id, with_for_update=True, populate_existing=True)


class ListedTenant(NamedTuple):
    """What the list of all tenants shows of one."""

    id: str
    name: str
    region: str
    mode: str
    created_at: datetime | None


def list_tenants(session: Session, *, after: str, limit: int) -> list[ListedTenant]:
    """Return tenants in the order of their ids. Call it inside `Database.tenant_directory`."""
    page = select(Tenant).where(Tenant.id > after).order_by(col(Tenant.id)).limit(limit)
    return [ListedTenant(row.id, row.name, row.region, row.mode, row.created_at) for row in session.exec(page)]


def list_tenant_ids(session: Session, *, after: str, limit: int) -> list[str]:
    """Return ids in their order.

    Call it inside `Database.relay`, which sees nothing else of a tenant.
    """
    return list(session.exec(select(Tenant.id).where(Tenant.id > after).order_by(col(Tenant.id)).limit(limit)))


def change_tenant(session: Session, tenant_id: str, changes: Mapping[str, Any]) -> Tenant | None:
    """Set the given columns; return None if there is no such tenant."""
    tenant = session.get(Tenant, tenant_id, with_for_update=True)
    if tenant is None:
        return None
    for column, value in changes.items():
        setattr(tenant, column, value)
    session.add(tenant)
    session.flush()
    return tenant
