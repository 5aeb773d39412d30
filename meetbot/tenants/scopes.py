"""What an API key may be limited to. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

ALL_SCOPES = "*"


class Scope(StrEnum):
    """One right of an API key. A key with ``*`` has them all."""

    CALENDARS_READ = "calendars:read"
    CALENDARS_WRITE = "calendars:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    BOTS_READ = "bots:read"
    BOTS_WRITE = "bots:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    TENANT_READ = "tenant:read"
    TENANT_WRITE = "tenant:write"
    KEYS_WRITE = "keys:write"
    AUDIT_READ = "audit:read"


KNOWN_SCOPES = (ALL_SCOPES, *(scope.value for scope in Scope))


def has_scope(held: Collection[str], scope: str) -> bool:
    """Return whether a key that holds these scopes has this one."""
    return ALL_SCOPES in held or scope in held


def missing_scopes(held: Collection[str], wanted: Collection[str]) -> list[str]:
    """Return which of the wanted scopes a key that holds these cannot give away, sorted."""
    return sorted(scope for scope in set(wanted) if not has_scope(held, scope))
