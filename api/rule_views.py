"""Rule sets as customers see them, and what both a user's and a tenant's routes do with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter
from sqlmodel import Session

from api.fields import Body
from api.paging import Page, PageQuery, PlaceNumber, decode_cursor, encode_cursor
from api.problems import not_found
from meetbot.storage.rule_sets import add_version, find_version, list_versions
from meetbot.storage.tables import RuleSet


class RuleSetAnswer(BaseModel):
    """One immutable version of a rule set."""

    version: int | None = Field(description="Counts from 1 for each owner; null where none was ever put.")
    created_at: datetime | None
    rules: list[dict[str, Any]] = Field(
        description="As they were put.", json_schema_extra={"items": {"$ref": "#/components/schemas/Rule"}}
    )
    all_day: bool


class RuleSetVersion(RuleSetAnswer):
    active: bool = Field(description="Whether it is in force.")
    created_by: str = Field(description="The public id of the API key that put it, or `connect`.")


class RollbackRequest(Body):
    version: int = Field(ge=1, le=2**31 - 1, description="The version to go back to; it is put again as the newest.")


class VersionsQuery(PageQuery):
    pass


NO_RULES = RuleSetAnswer(version=None, created_at=None, rules=[], all_day=False)


def rule_set_answer(row: RuleSet) -> RuleSetAnswer:
    return RuleSetAnswer.model_validate(_fields(row))


def _fields(row: RuleSet) -> dict[str, Any]:
    return {
        "version": row.version,
        "created_at": row.created_at,
        "rules": row.body.get("rules", []),
        "all_day": row.body.get("all_day", False),
    }


_PLACE: TypeAdapter[tuple[int]] = TypeAdapter(tuple[PlaceNumber])


def versions_page(
    session: Session, tenant_id: str, owner: str, layer: str, query: VersionsQuery
) -> Page[RuleSetVersion]:
    """The newest first."""
    asked = f"versions {tenant_id} {owner} {layer} {query.question()}"
    place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
    before = place[0] if place is not None else None
    rows = list_versions(session, tenant_id, owner, layer, before=before, limit=query.limit + 1)
    shown = rows[: query.limit]
    data = [
        RuleSetVersion.model_validate(_fields(row) | {"active": row.active, "created_by": row.created_by})
        for row in shown
    ]
    more = len(rows) > query.limit
    return Page(data=data, next_cursor=encode_cursor([shown[-1].version], asked=asked) if more else None)


def roll_back(session: Session, tenant_id: str, owner: str, layer: str, *, version: int, by: str) -> RuleSetAnswer:
    """Put an earlier version again, as a new one: history is only ever added to."""
    row = find_version(session, tenant_id, owner, layer, version)
    if row is None:
        raise not_found("rule_set_version")
    return rule_set_answer(add_version(session, tenant_id, owner, layer, body=row.body, created_by=by))
