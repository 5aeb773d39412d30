"""The tables of what waits for administrators, and of what they approved."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from meetbot.storage import columns


class AdminConsent(SQLModel, table=True):
    """A link to be forwarded to an administrator.

    ``directory`` is the one that was named, a GUID or a domain; None: that of whoever opens the link. The link's secret is made
    with ``link_key``. ``used_at``: an administrator has approved by it.
    """

    __tablename__ = "admin_consent"

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    provider: str
    directory: str | None = None
    redirect_url: str | None = None
    link_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(sa_column=columns.instant())
    expires_at: datetime = Field(sa_column=columns.instant())
    used_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class DirectoryApproval(SQLModel, table=True):
    """A directory (GUID) in which a client of the tenant, or ours, was last approved then."""

    __tablename__ = "directory_approval"

    tenant_id: str = Field(primary_key=True)
    client_id: str = Field(primary_key=True)
    directory: str = Field(primary_key=True)
    approved_at: datetime = Field(sa_column=columns.instant())


class WaitingUser(SQLModel, table=True):
    """A calendar user that is not connected, since an administrator must agree first.

    It is no row of ``calendar_user``: it has no account and no token, and nothing runs for it. ``directory`` is that of the
    address in ``login_hint``, as far as it is known. The secret of its link is made with ``link_key``. ``oauth_client_id`` is
    the tenant's own client that was refused, null for ours.
    """

    __tablename__ = "waiting_user"
    __table_args__ = (Index("ix_waiting_user_customer", "tenant_id", "provider", "customer_user_id"),)

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    provider: str
    customer_user_id: str
    login_hint: str | None = None
    redirect_url: str | None = None
    attributes: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    rules: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    oauth_client_id: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    directory: str | None = None
    admin_consent_id: str | None = None
    link_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sequence: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: datetime = Field(sa_column=columns.instant())
    updated_at: datetime = Field(sa_column=columns.instant())
    approved_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    expires_at: datetime = Field(sa_column=columns.instant())
