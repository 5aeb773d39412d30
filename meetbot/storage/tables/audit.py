"""The tables of the audit log: entries, each tenant's chain, and uses of secrets."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from meetbot.storage import columns


class AuditEntry(SQLModel, table=True):
    """One entry. A trigger refuses to change it, and to delete it before its time."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_at", "tenant_id", "at"),)

    tenant_id: str = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: str
    at: datetime = Field(sa_column=columns.instant())
    actor: str
    action: str
    target: str
    request_id: str
    ip: str
    detail: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    previous_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditChain(SQLModel, table=True):
    """Where a tenant's chain ends, and the anchor before its oldest entry that is kept."""

    __tablename__ = "audit_chain"

    tenant_id: str = Field(primary_key=True)
    head_sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    head_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    anchor_sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    anchor_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    anchored_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class SecretUse(SQLModel, table=True):
    """How often a workflow had one secret opened in one hour, and what for."""

    __tablename__ = "secret_use"

    tenant_id: str = Field(primary_key=True)
    hour: datetime = Field(sa_column=Column(columns.TIMESTAMPTZ, primary_key=True))
    purpose: str = Field(primary_key=True)
    subject_id: str = Field(primary_key=True)
    used_by: str = Field(primary_key=True)
    uses: int
    first_at: datetime = Field(sa_column=columns.instant())
    last_at: datetime = Field(sa_column=columns.instant())
