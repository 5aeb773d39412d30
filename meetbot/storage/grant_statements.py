"""The list of grants as statements, and whether a database has them. Pure.

A policy is bound to a role. The settings that some name as well only narrow what that role sees in one transaction. On a server
without our roles, in development only, the owner stands in for those that are missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from meetbot.storage.grants import TABLES, TableGrants
from meetbot.storage.roles import Role
from meetbot.storage.sealed_writes import FUNCTIONS

_RELAY_SETTING = "current_setting('app.relay', true) = 'on'"
_HOUSEKEEPING_SETTING = "current_setting('app.housekeeping', true) = 'on'"
_BY_TENANT = (Role.API, Role.WORKER, Role.DBA)


def mark(revision: str, roles: Collection[Role]) -> str:
    """Return what a database says of itself once the grants of this release are in.

    They are at this revision of the schema, for these roles.
    """
    digest = hashlib.sha256()
    for part in (*(f"{name}:{TABLES[name]!r}" for name in sorted(TABLES)), *FUNCTIONS, _VERSION):
        digest.update(part.encode())
    missing = "".join(f" without {role}" for role in Role if role not in roles)
    return f"grants {revision} {digest.hexdigest()}{missing}"


def closing(table: str, policies: Sequence[str], roles: Collection[Role]) -> Iterator[str]:
    """Yield what takes from everybody every right on a table."""
    yield f'alter table "{table}" enable row level security'
    # FORCE: the owner is bound too.
    yield f'alter table "{table}" force row level security'
    yield from (f'drop policy "{policy}" on "{table}"' for policy in policies)
    yield f'revoke all on table "{table}" from {", ".join(("public", *sorted(roles)))}'


def opening(table: str, columns: Sequence[str], roles: Collection[Role]) -> Iterator[str]:
    """Yield the policies and grants of a table that has an entry."""
    yield from _policies(table, TABLES[table], roles)
    for role, rights in _grants(TABLES[table], columns):
        if role in roles:
            yield f'grant {rights} on table "{table}" to {role}'


def _grants(grants: TableGrants, columns: Sequence[str]) -> Iterator[tuple[Role, str]]:
    if grants.worker:
        yield Role.WORKER, ", ".join(grants.worker.split())
    readable = [column for column in columns if column not in grants.sealed]
    for verb in grants.api.split():
        yield Role.API, f"{verb} ({_named(readable)})" if verb == "select" and grants.sealed else verb
    yield Role.DBA, f"select ({_named([column for column in readable if column not in grants.hidden])})"
    if grants.relay is not None:
        yield Role.RELAY, f"select ({_named(grants.relay.select.split())})"
    if grants.relay is not None and grants.relay.update:
        yield Role.RELAY, f"update ({_named(grants.relay.update.split())})"
    if grants.expired is not None:
        # A row's place is all that housekeeping reads of it.
        yield Role.RELAY, "select (ctid), delete"


def _policies(table: str, grants: TableGrants, present: Collection[Role]) -> Iterator[str]:
    own = f"{grants.tenant_column} = nullif(current_setting('app.tenant_id', true), '')"
    by_tenant = _with_owner(_BY_TENANT, present)
    yield f'create policy tenant on "{table}" to {by_tenant} using ({own}) with check ({own})'
    for opened in grants.openings:
        roles = _with_owner(opened.roles, present)
        yield f'create policy {opened.name} on "{table}" for select to {roles} using ({opened.rows})'
    relay = Role.RELAY if Role.RELAY in present else "current_user"
    if grants.relay is not None:
        # Two policies, so that none of them opens an insertion or a deletion.
        for name, verb in (("relay", "select"), ("relay_update", "update")):
            if verb == "select" or grants.relay.update:
                rows = f"{_RELAY_SETTING} and {grants.relay.rows}"
                yield f'create policy {name} on "{table}" for {verb} to {relay} using ({rows})'
    if grants.expired is not None:
        for verb in ("select", "delete"):
            rows = f"{_HOUSEKEEPING_SETTING} and {grants.expired}"
            yield f'create policy housekeeping_{verb} on "{table}" for {verb} to {relay} using ({rows})'


def _with_owner(roles: Iterable[Role], present: Collection[Role]) -> str:
    return ", ".join(("current_user", *(role for role in roles if role in present)))


def _named(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


# Grows when this module makes other statements of the same list.
_VERSION = "2"
