"""Rule sets as customers see them, and what both a user's and a tenant's routes do with them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import fastapi
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, GetJsonSchemaHandler, StrictInt, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from sqlmodel import Session

from api.auth import Caller, Scope
from api.paging import Page, PageQuery, PlaceNumber, decode_cursor, encode_cursor
from api.problems import Problem, not_found
from api.schemas import Body
from meetbot.rules import RuleSetBody
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
    version: StrictInt = Field(
        ge=1, le=2**31 - 1, description="The version to go back to; it is put again as the newest."
    )


class VersionsQuery(PageQuery):
    pass


class _AnyJson:
    """Taken as it comes, and documented as what it must be."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(RuleSetBody.__pydantic_core_schema__)


def _read_rule_set(document: Annotated[Any, _AnyJson, fastapi.Body()]) -> RuleSetBody:
    """Compiling patterns takes its time, so not on the event loop, where models are read: dependencies that are plain
    functions run in threads."""
    try:
        return RuleSetBody.model_validate(document)
    except ValidationError as refusal:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in refusal.errors(include_url=False)]
        raise RequestValidationError(faults) from None


# A route names its caller first: dependencies run in order, and a stranger's patterns are not compiled.
SentRuleSet = Annotated[RuleSetBody, Depends(_read_rule_set)]


def with_events(caller: Caller) -> Caller:
    """For routes that show events as well: they need the scope that reading events needs too."""
    if not caller.may(Scope.CALENDARS_READ):
        raise Problem(403, "missing_scope", f"the API key lacks the scope {Scope.CALENDARS_READ}")
    return caller


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
