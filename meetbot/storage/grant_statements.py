"""The list of grants as statements, and whether a database has them. Pure.

A policy is bound to a role. The settings that some name as well only narrow what that role sees in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from meetbot.storage.grants import TABLES, RelayGrant, TableGrants
from meetbot.storage.roles import Role
from meetbot.storage.sealed_writes import FUNCTIONS

_RELAY_SETTING = "current_setting('app.relay', true) = 'on'"
_HOUSEKEEPING_SETTING = "current_setting('app.housekeeping', true) = 'on'"
_BY_TENANT = ", ".join(("current_user", Role.API, Role.WORKER, Role.DBA))


def mark(revision: str) -> str:
    """Return what a database says of itself once it has the grants of this release.

    It names the schema's revision too: a new column needs new grants.
    """
    digest = hashlib.sha256()
    for part in (*(f"{name}:{TABLES[name]!r}" for name in sorted(TABLES)), *FUNCTIONS, _BY_TENANT, _VERSION):
        digest.update(part.encode())
    return f"grants {revision} {digest.hexdigest()}"


def closing(table: str, policies: Sequence[str]) -> Iterator[str]:
    """Yield what takes from everybody every right on a table."""
    yield f'alter table "{table}" enable row level security'
    # FORCE: the owner is bound too.
    yield f'alter table "{table}" force row level security'
    yield from (f'drop policy "{policy}" on "{table}"' for policy in policies)
    yield f'revoke all on table "{table}" from public, {", ".join(Role)}'


def opening(table: str, columns: Sequence[str]) -> Iterator[str]:
    """Yield the grants and policies of a table that has an entry."""
    grants = TABLES[table]
    yield from _policies(table, grants)
    if grants.worker:
        yield f'grant {_verbs(grants.worker)} on table "{table}" to {Role.WORKER}'
    readable = [column for column in columns if column not in grants.sealed]
    for verb in grants.api.split():
        named = f" ({_named(readable)})" if verb == "select" and grants.sealed else ""
        yield f'grant {verb}{named} on table "{table}" to {Role.API}'
    shown = [column for column in readable if column not in grants.hidden]
    yield f'grant select ({_named(shown)}) on table "{table}" to {Role.DBA}'
    if grants.relay is not None:
        yield from _to_relay(table, grants.relay)
    if grants.expired is not None:
        # A row's place is all that housekeeping reads of it.
        yield f'grant select (ctid), delete on table "{table}" to {Role.RELAY}'


def _policies(table: str, grants: TableGrants) -> Iterator[str]:
    own = f"{grants.tenant_column} = nullif(current_setting('app.tenant_id', true), '')"
    yield f'create policy tenant on "{table}" to {_BY_TENANT} using ({own}) with check ({own})'
    for opened in grants.openings:
        roles = ", ".join(("current_user", *opened.roles))
        yield f'create policy {opened.name} on "{table}" for select to {roles} using ({opened.rows})'
    if grants.relay is not None:
        # Two policies, so that none of them opens an insertion or a deletion.
        for name, verb in (("relay", "select"), ("relay_update", "update")):
            if verb == "select" or grants.relay.update:
                yield (
                    f'create policy {name} on "{table}" for {verb} to {Role.RELAY} '
                    f"using ({_RELAY_SETTING} and {grants.relay.rows})"
                )
    if grants.expired is not None:
        for verb in ("select", "delete"):
            yield (
                f'create policy housekeeping_{verb} on "{table}" for {verb} to {Role.RELAY} '
                f"using ({_HOUSEKEEPING_SETTING} and {grants.expired})"
            )


def _to_relay(table: str, grant: RelayGrant) -> Iterator[str]:
    yield f'grant select ({_named(grant.select.split())}) on table "{table}" to {Role.RELAY}'
    if grant.update:
        yield f'grant update ({_named(grant.update.split())}) on table "{table}" to {Role.RELAY}'


def _verbs(verbs: str) -> str:
    return ", ".join(verbs.split())


def _named(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


# Grows when this module makes other statements of the same list.
_VERSION = "1"
