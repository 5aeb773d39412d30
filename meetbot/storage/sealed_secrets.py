"""Every place where a sealed secret is stored, for the rotation of the tenants' keys.

A table with a sealed secret has to be in `SEALED_PLACES`: what is not there is lost once an old version of the key is
destroyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """A table with sealed secrets of its tenants.

    ``rows`` is a query for the row's id and each secret's ``kek_version`` and ``wrapped_key``. ``move`` stores one data key as
    wrapped anew, if it is still wrapped as it was when it was read.
    """

    table: str
    column: str
    rows: str
    move: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A wrapped data key, and the id of its row."""

    row_id: str
    wrapped_key: str


def _in_columns(table: str, ciphertext: str, *, row_id: str = "id") -> SealedPlace:
    """One secret in each row."""
    return SealedPlace(
        table,
        ciphertext,
        # A token that an erasure has taken away is empty.
        rows=f"select {row_id} as row_id, kek_version, wrapped_key from {table} "  # noqa: S608 - our names
        "where tenant_id = :tenant_id and wrapped_key <> ''",
        move=f"update {table} set wrapped_key = :new, kek_version = :version "  # noqa: S608 - our names
        f"where tenant_id = :tenant_id and {row_id} = :row_id and wrapped_key = :old",
    )


def _in_list(table: str, column: str) -> SealedPlace:
    """A JSON list of secrets in each row."""
    return SealedPlace(
        table,
        column,
        rows="select id as row_id, (item->>'kek_version')::int as kek_version, item->>'wrapped_key' as wrapped_key "  # noqa: S608 - our names
        f"from {table}, jsonb_array_elements({column}) item where tenant_id = :tenant_id",
        move=f"update {table} set {column} = (select jsonb_agg(case when item->>'wrapped_key' = :old "  # noqa: S608 - our names
        "then item || jsonb_build_object('wrapped_key', cast(:new as text), 'kek_version', cast(:version as int)) "
        f"else item end order by place) from jsonb_array_elements({column}) with ordinality as listed(item, place)) "
        "where tenant_id = :tenant_id and id = :row_id "
        f"and {column} @> jsonb_build_array(jsonb_build_object('wrapped_key', cast(:old as text)))",
    )


SEALED_PLACES: Sequence[SealedPlace] = (
    _in_columns("calendar_user", "refresh_ciphertext"),
    _in_columns("connect_attempt", "code_ciphertext", row_id="exchange_id"),
    _in_columns("oauth_app", "secret_ciphertext"),
    _in_columns("pending_revocation", "refresh_ciphertext", row_id="erasure_id"),
    _in_list("webhook_endpoint", "secrets"),
)


def outdated_keys(
    session: Session, place: SealedPlace, tenant_id: str, *, below: int, after: StoredKey | None, limit: int
) -> list[StoredKey]:
    """Return a page of the data keys that an older version than ``below`` has wrapped."""
    last = after or StoredKey("", "")
    statement = text(
        f"select row_id, wrapped_key from ({place.rows}) sealed where kek_version < :below "  # noqa: S608 - our own queries
        "and (row_id, wrapped_key) > (:row_id, :wrapped_key) order by row_id, wrapped_key limit :limit"
    )
    rows = session.execute(
        statement,
        {
            "tenant_id": tenant_id,
            "below": below,
            "row_id": last.row_id,
            "wrapped_key": last.wrapped_key,
            "limit": limit,
        },
    )
    return [StoredKey(row.row_id, row.wrapped_key) for row in rows]


def count_outdated(session: Session, tenant_id: str, *, below: int) -> int:
    """Return how many data keys an older version than ``below`` has wrapped, in all places."""
    counts = (
        session.execute(
            text(f"select count(*) from ({place.rows}) sealed where kek_version < :below"),  # noqa: S608 - our own queries
            {"tenant_id": tenant_id, "below": below},
        ).scalar_one()
        for place in SEALED_PLACES
    )
    return sum(int(count) for count in counts)


def move_key(
    session: Session, place: SealedPlace, tenant_id: str, key: StoredKey, *, wrapped_key: str, version: int
) -> bool:
    """Store the data key as wrapped by this version; False if the row has changed since."""
    moved = session.execute(
        text(place.move),
        {
            "tenant_id": tenant_id,
            "row_id": key.row_id,
            "old": key.wrapped_key,
            "new": wrapped_key,
            "version": version,
        },
    )
    return bool(moved.rowcount)  # type: ignore[attr-defined]
