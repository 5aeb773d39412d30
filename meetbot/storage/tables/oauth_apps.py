"""The table of the tenants' own OAuth apps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, LargeBinary, Text, text
from sqlalchemy.orm import deferred
from sqlmodel import Field, SQLModel

from meetbot.storage import columns

_WRAPPED_KEY = Column("wrapped_key", Text, nullable=False)
_SECRET_CIPHERTEXT = Column("secret_ciphertext", LargeBinary, nullable=False)


class OAuthApp(SQLModel, table=True):
    """A client that a tenant has registered at a provider, with its sealed secret.

    One of each provider is present: new connections use it. A retired one is kept while calendar users have given their consent
    to it. ``error_code`` says that the provider refused the client when it was last asked.
    """

    __tablename__ = "oauth_app"
    __table_args__ = (
        Index("uq_oauth_app_client", "tenant_id", "provider", "client_id", unique=True),
        Index(
            "uq_oauth_app_present",
            "tenant_id",
            "provider",
            unique=True,
            postgresql_where=text("retired_at is null"),
        ),
    )
    __mapper_args__ = {
        "eager_defaults": True,
        "properties": {"wrapped_key": deferred(_WRAPPED_KEY), "secret_ciphertext": deferred(_SECRET_CIPHERTEXT)},
    }

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    provider: str
    client_id: str
    directory: str | None = None
    kek_version: int
    wrapped_key: str = Field(sa_column=_WRAPPED_KEY)
    secret_ciphertext: bytes = Field(sa_column=_SECRET_CIPHERTEXT)
    error_code: str | None = None
    retired_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    created_at: datetime = Field(sa_column=columns.instant())
    updated_at: datetime = Field(sa_column=columns.instant())
