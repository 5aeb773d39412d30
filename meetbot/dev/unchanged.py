"""Whether a later start finds everything as the one before left it, without loading what it would take to make it so.

Migrations and the demo tenant need the schema's libraries, which take seconds of the start; this needs only the driver.
"""

from __future__ import annotations

from importlib import resources

import psycopg

from meetbot.tenants.api_keys import public_id_in

_CONNECT_SECONDS = 5


def schema_is_current(database_url: str) -> bool:
    """Whether the newest of our migrations is in. Their files begin with the revision's name."""
    scripts = resources.files("meetbot.storage") / "migrations" / "versions"
    newest = max(entry.name.partition("_")[0] for entry in scripts.iterdir() if entry.name[0].isdigit())
    try:
        with psycopg.connect(database_url, connect_timeout=_CONNECT_SECONDS) as connection:
            found = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.Error:
        return False
    return found == (newest,)


def key_is_known(database_url: str, api_key: str) -> bool:
    """Whether the key's row is there and in force. The key itself was written down by us, so its public part tells."""
    public_id = public_id_in(api_key)
    if public_id is None:
        return False
    try:
        with psycopg.connect(database_url, connect_timeout=_CONNECT_SECONDS) as connection:
            connection.execute("select set_config('app.api_key_id', %s, true)", (public_id,))
            found = connection.execute("select 1 from api_key where revoked_at is null").fetchone()
    except psycopg.Error:
        return False
    return found is not None
