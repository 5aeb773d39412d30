"""Consents, codes and tokens, as the sandbox keeps them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class Grant(BaseModel, extra="forbid"):
    """One user's consent to one client. It goes as a whole."""

    id: str
    account: str
    client_id: str
    scopes: list[str]


class AuthorizationCode(BaseModel, extra="forbid"):
    grant: str
    client_id: str
    redirect_uri: str
    scopes: list[str]
    challenge: str | None
    nonce: str | None
    offline: bool
    expires_at: datetime
    used: bool = False


class AccessToken(BaseModel, extra="forbid"):
    grant: str
    scopes: list[str]
    expires_at: datetime


class RefreshToken(BaseModel, extra="forbid"):
    grant: str
    scopes: list[str]
    issued_at: datetime


class ConsentMode(StrEnum):
    ASK = "ask"
    AUTO = "auto"


class ConsentSettings(BaseModel, extra="forbid"):
    """How consent is given. ``auto`` answers without a page: for `login_hint`'s account, else for ``account``.
    ``withhold`` names scopes the user unticks; ``error`` makes the answer an error instead."""

    mode: ConsentMode = ConsentMode.ASK
    account: str | None = None
    withhold: list[str] = []
    error: str | None = None
    error_description: str | None = None
