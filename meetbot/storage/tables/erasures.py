"""The tables of erasures: certificates, tokens kept for revocation, and the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from meetbot.domain.erasure import ErasedKind, ErasureState, Revocation
from meetbot.storage import columns


class Erasure(SQLModel, table=True):
    """The certificate of a calendar user's erasure, without personal data.

    It holds ids, instants, counts and codes. ``steps`` holds the instant of each step that is done, ``counts`` the deleted rows
    by table.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        Index("uq_erasure_calendar_user", "tenant_id", "calendar_user_id", unique=True),
        CheckConstraint(columns.one_of("state", ErasureState), name="state"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    calendar_user_id: str
    provider: str
    state: ErasureState = Field(sa_column=columns.state_of(ErasureState))
    revocation: Revocation = Field(sa_column=columns.state_of(Revocation))
    steps: dict[str, Any] = Field(default_factory=dict, sa_column=columns.json("{}"))
    counts: dict[str, Any] = Field(default_factory=dict, sa_column=columns.json("{}"))
    requested_at: datetime = Field(sa_column=columns.instant())
    finished_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class PendingRevocation(SQLModel, table=True):
    """A sealed refresh token that is kept alone until its grant is revoked, and then deleted.

    ``erasure_id`` is that of the user's erasure, or an id of its own (``rvk_…``) if the user connected again through another
    client, and this was the earlier one's.
    """

    __tablename__ = "pending_revocation"

    tenant_id: str = Field(primary_key=True)
    erasure_id: str = Field(primary_key=True)
    calendar_user_id: str
    provider: str
    subject: str
    token_version: int
    oauth_client_id: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    kek_version: int
    wrapped_key: str = Field(sa_column=Column(Text, nullable=False))
    refresh_ciphertext: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class ErasureLedger(SQLModel, table=True):
    """What was erased and from when on, ids and instants only.

    No erasure deletes from it, so that it can be replayed after a restore.
    """

    __tablename__ = "erasure_ledger"
    __table_args__ = (CheckConstraint(columns.one_of("kind", ErasedKind), name="kind"),)

    tenant_id: str = Field(primary_key=True)
    subject_id: str = Field(primary_key=True)
    kind: ErasedKind = Field(sa_column=columns.state_of(ErasedKind))
    erased_at: datetime = Field(sa_column=columns.instant())
