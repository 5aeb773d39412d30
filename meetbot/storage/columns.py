"""The kinds of columns that our tables are made of, and the names of their constraints."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Integer, String, TypeDecorator, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

JsonObject = dict[str, Any]
TIMESTAMPTZ = DateTime(timezone=True)

# Every module of tables imports this one first, so that the names hold for all of them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}


class _EnumText(TypeDecorator[StrEnum]):
    """A text column that holds the values of one enum, and is read as its members."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Any) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> StrEnum | None:
        return None if value is None else self.kind(value)


def state_of(kind: type[StrEnum], *, nullable: bool = False, default: StrEnum | None = None) -> Any:
    """Return a column for a state, kept as the enum's value.

    ``default`` is for rows that are there already too.
    """
    server_default = None if default is None else text(f"'{default}'")
    return Column(_EnumText(kind), nullable=nullable, server_default=server_default)


def one_of(column: str, values: type[StrEnum] | tuple[StrEnum, ...]) -> str:
    """Return the SQL condition that a column holds one of these values."""
    return f"{column} in ({','.join(repr(str(value)) for value in values)})"


def instant(*, nullable: bool = False) -> Any:
    """Return a ``timestamptz`` column."""
    return Column(DateTime(timezone=True), nullable=nullable)


def now() -> Any:
    """Return a ``timestamptz`` column that is the time of the insertion by default."""
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))


def counted(default: int) -> Any:
    """Return a whole number with a default, for rows that are there already too."""
    return Field(default=default, sa_column=Column(Integer, nullable=False, server_default=text(str(default))))


def json(default: str) -> Any:
    """Return a JSON column with a default, given as JSON text."""
    return Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb"))


def change_xid() -> Any:
    """Return a column that is the inserting transaction's id by default."""
    return Column(BigInteger, nullable=False, server_default=text("(pg_current_xact_id()::text)::bigint"), index=False)
