"""Rule sets as rows: immutable versions, at most one of them in force per owner and layer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, text, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from meetbot.storage.tables import RuleSet

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 7063))")


def active_rule_set(session: Session, tenant_id: str, owner: str, layer: str) -> RuleSet | None:
    """Return the version in force, if any."""
    return session.exec(_versions(tenant_id, owner, layer).where(col(RuleSet.active))).one_or_none()


def find_version(session: Session, tenant_id: str, owner: str, layer: str, version: int) -> RuleSet | None:
    """Return this version, in force or not."""
    return session.get(RuleSet, (tenant_id, owner, layer, version))


def versions_in_force(session: Session, tenant_id: str, owners: Collection[str], *, at: datetime) -> list[RuleSet]:
    """Return the versions of all layers of these owners that were in force at an instant."""
    statement = select(RuleSet).where(
        RuleSet.tenant_id == tenant_id,
        col(RuleSet.owner).in_(sorted(owners)),
        col(RuleSet.created_at) <= at,
        or_(col(RuleSet.active), col(RuleSet.withdrawn_at) > at),
    )
    return list(session.exec(statement.order_by(RuleSet.owner, RuleSet.layer, col(RuleSet.version))))


def list_versions(
    session: Session, tenant_id: str, owner: str, layer: str, *, before: int | None, limit: int
) -> list[RuleSet]:
    """Return a page of versions, the newest first."""
    statement = _versions(tenant_id, owner, layer)
    if before is not None:
        statement = statement.where(RuleSet.version < before)
    return list(session.exec(statement.order_by(col(RuleSet.version).desc()).limit(limit)))


def add_version(
    session: Session, tenant_id: str, owner: str, layer: str, *, body: dict[str, Any], created_by: str
) -> RuleSet:
    """Store one more version and put it in force instead of the one before."""
    session.execute(_LOCK, {"name": f"rule_set/{tenant_id}/{owner}/{layer}"})
    withdraw(session, tenant_id, owner, layer)
    newest = session.scalar(
        select(func.max(RuleSet.version)).where(
            RuleSet.tenant_id == tenant_id, RuleSet.owner == owner, RuleSet.layer == layer
        )
    )
    row = RuleSet(
        tenant_id=tenant_id,
        owner=owner,
        layer=layer,
        version=(newest or 0) + 1,
        active=True,
        body=body,
        created_by=created_by,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def withdraw(session: Session, tenant_id: str, owner: str, layer: str) -> bool:
    """Put no version in force. False if none was."""
    changed = session.execute(
        update(RuleSet)
        .where(
            col(RuleSet.tenant_id) == tenant_id,
            col(RuleSet.owner) == owner,
            col(RuleSet.layer) == layer,
            col(RuleSet.active),
        )
        .values(active=False, withdrawn_at=func.now())
        .returning(col(RuleSet.version))
    )
    return bool(changed.all())


def _versions(tenant_id: str, owner: str, layer: str) -> SelectOfScalar[RuleSet]:
    return select(RuleSet).where(RuleSet.tenant_id == tenant_id, RuleSet.owner == owner, RuleSet.layer == layer)
