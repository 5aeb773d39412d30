"""No login of a process takes an entry out of the audit log before its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from meetbot.domain.audit import AuditFact
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.erasure_rows import delete_tenant
from meetbot.storage.roles import Role
from meetbot.storage.tables import Tenant

pytestmark = pytest.mark.stack

TENANT = "ten_a"
Login = Callable[[Role | None], Database]


@pytest.fixture
def owner(login: Login) -> Database:
    return login(None)


def write(owner: Database, *, days_ago: int, audit_days: int = 365) -> None:
    with owner.transaction(TENANT) as session:
        session.add(Tenant(id=TENANT, name="A", region="eu", audit_days=audit_days))
        session.flush()
        append(
            session, TENANT, AuditFact(datetime.now(UTC) - timedelta(days=days_ago), "key", "tenant.updated", TENANT)
        )


def anchor(session: Session) -> None:
    """Say, as retention does, that the chain begins after the entry."""
    session.execute(text("update audit_chain set anchor_sequence = 1, anchor_hash = head_hash"))


def refused(login: Login, statement: str) -> None:
    with login(Role.WORKER).transaction(TENANT) as session:
        session.execute(text("select set_config('app.erasing_tenant', :id, true)"), {"id": TENANT})
        anchor(session)
        with pytest.raises(ProgrammingError, match="audit entries are final"):
            session.execute(text(statement))
        session.rollback()


def test_the_worker_ends_no_entry_by_naming_the_tenant_as_erased(login: Login, owner: Database) -> None:
    write(owner, days_ago=0)
    refused(login, "delete from audit_entry")


@pytest.mark.parametrize("days_ago", [40, 363])
def test_the_worker_ends_no_entry_that_the_tenant_wants_kept(login: Login, owner: Database, days_ago: int) -> None:
    write(owner, days_ago=days_ago)
    refused(login, "delete from audit_entry")


@pytest.mark.parametrize(("days_ago", "audit_days"), [(366, 365), (31, 30)])
def test_the_worker_ends_an_entry_that_is_past_its_time(
    login: Login, owner: Database, days_ago: int, audit_days: int
) -> None:
    write(owner, days_ago=days_ago, audit_days=audit_days)
    with login(Role.WORKER).transaction(TENANT) as session:
        anchor(session)
        assert session.execute(text("delete from audit_entry")).rowcount == 1  # type: ignore[attr-defined]


def test_the_owner_ends_all_entries_of_a_tenant_that_is_erased(owner: Database) -> None:
    write(owner, days_ago=0)
    with owner.transaction(TENANT) as session:
        assert delete_tenant(session, TENANT)["audit_entry"] == 1
