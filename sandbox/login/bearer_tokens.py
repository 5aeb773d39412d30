"""Access tokens in the Authorization header of a request (RFC 6750 section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sandbox.calendar.records import Account, Provider
from sandbox.state import State


class BearerProblem(StrEnum):
    """Why the access token of a request is not accepted."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Bearer:
    """The account that a valid access token stands for, and the token's scopes."""

    account: Account
    scopes: frozenset[str]


def read_bearer(state: State, header: str | None, provider: Provider, now: datetime) -> Bearer | BearerProblem:
    """Return whom an Authorization header stands for, or why it is not accepted.

    A token of the other provider is unknown here.
    """
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        return BearerProblem.MISSING
    record = state.access_tokens.get(token.strip())
    grant = state.grants.get(record.grant) if record else None
    account = state.accounts.get(grant.account) if grant else None
    if record is None or account is None or account.provider is not provider:
        return BearerProblem.UNKNOWN
    if record.expires_at <= now:
        return BearerProblem.EXPIRED
    return Bearer(account, frozenset(record.scopes))


def account_of_token(state: State, header: str | None) -> str | None:
    """Return the account of a known token, expired or not: for the request log and fault rules."""
    record = state.access_tokens.get((header or "").partition(" ")[2].strip())
    grant = state.grants.get(record.grant) if record else None
    return grant.account if grant else None
