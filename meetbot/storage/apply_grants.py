"""Make a database's grants and row policies those of the list, as a part of the migration."""

from __future__ import annotations

from sqlalchemy import Connection, text

from meetbot.errors import ConfigurationError
from meetbot.storage.grant_statements import closing, mark, opening
from meetbot.storage.grants import TABLES
from meetbot.storage.roles import Role
from meetbot.storage.sealed_writes import functions

_VERSION_TABLE = "alembic_version"
_HAS = text("select rolname from pg_roles where rolname = any(:names)")
_COLUMNS = text(
    """
    select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns,
           (select coalesce(array_agg(p.polname::text order by p.polname), '{}') from pg_policy p where p.polrelid = c.oid)
               as policies
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and c.relname <> :version_table
       and c.relowner = current_user::regrole
     group by c.oid, c.relname order by c.relname
    """
)
_MARK = text("select obj_description(to_regclass('alembic_version'), 'pg_class')")


def apply_grants(connection: Connection, revision: str, *, owner_alone: bool = False) -> None:
    """Apply the list unless it is in already.

    ``owner_alone``: the owner stands in for roles that the server does not have. Otherwise raises `ConfigurationError`.
    """
    roles = _present_roles(connection)
    if found_mark(connection) == mark(revision, roles):
        return
    if not owner_alone:
        _refuse_missing(roles)
    for table in connection.execute(_COLUMNS, {"version_table": _VERSION_TABLE}).all():
        for statement in closing(table.name, table.policies, roles):
            connection.exec_driver_sql(statement)
        if table.name in TABLES:
            for statement in opening(table.name, table.columns, roles):
                connection.exec_driver_sql(statement)
    for statement in functions(roles):
        connection.exec_driver_sql(statement)
    for role in sorted(roles):
        connection.exec_driver_sql(f"grant usage on schema public to {role}")
        connection.exec_driver_sql(f"grant select on table {_VERSION_TABLE} to {role}")
    connection.exec_driver_sql(f"comment on table {_VERSION_TABLE} is '{mark(revision, roles)}'")


def are_in(connection: Connection, revision: str) -> bool:
    """Return whether the grants of this release are in, for the roles that the server has."""
    return found_mark(connection) == mark(revision, _present_roles(connection))


def found_mark(connection: Connection) -> str | None:
    """Return the mark of the grants that are in, None without any."""
    found: str | None = connection.execute(_MARK).scalar_one()
    return found


def _present_roles(connection: Connection) -> frozenset[Role]:
    found = set(connection.execute(_HAS, {"names": list(Role)}).scalars())
    return frozenset(role for role in Role if role in found)


def _refuse_missing(roles: frozenset[Role]) -> None:
    missing = [role for role in Role if role not in roles]
    if missing:
        raise ConfigurationError(
            "database_roles_missing",
            f"the database server has no role {', '.join(missing)}",
            next_step="run what `meetbot db roles` prints as a superuser, once for each server",
        )
