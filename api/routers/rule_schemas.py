"""What the routes of rules take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import fastapi
from fastapi import Depends, Path
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, GetJsonSchemaHandler, StrictInt, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from api.paging import PageQuery
from api.schemas import Body
from meetbot.domain.decision import Layer
from meetbot.rules import RuleSetBody
from meetbot.storage.tables import RuleSet

TENANT_LAYERS: Final = (Layer.LOCKED_BEFORE, Layer.DEFAULT, Layer.LOCKED_AFTER)

LayerName = Annotated[
    str,
    Path(
        description="`locked_before` is asked before every calendar user's rules and `locked_after` after them; `default` if a "
        "calendar user has none of its own.",
        json_schema_extra={"enum": list(TENANT_LAYERS)},
    ),
]


class RuleSetAnswer(BaseModel):
    """One immutable version of a rule set."""

    version: int | None = Field(description="Counts from 1 for each owner; null if none was ever put.")
    created_at: datetime | None
    rules: list[dict[str, Any]] = Field(
        description="As they were put.", json_schema_extra={"items": {"$ref": "#/components/schemas/Rule"}}
    )
    all_day: bool


class UserRules(RuleSetAnswer):
    """The rules in force for a calendar user."""

    source: Literal["user", "tenant_default", "none"] = Field(description="Whose rules these are.")


class RuleSetVersion(RuleSetAnswer):
    """One immutable version of a rule set, and who put it."""

    active: bool = Field(description="Whether it is in force.")
    created_by: str = Field(description="The public id of the API key that put it, or `connect`.")


class RollbackRequest(Body):
    """The version to go back to."""

    version: StrictInt = Field(
        ge=1, le=2**31 - 1, description="The version to go back to; it is put again as the newest."
    )


class VersionsQuery(PageQuery):
    """Which page of a rule set's versions to show."""


NO_RULES: Final = RuleSetAnswer(version=None, created_at=None, rules=[], all_day=False)


def rule_set_answer(row: RuleSet) -> RuleSetAnswer:
    """Return a stored version as customers see it."""
    return RuleSetAnswer.model_validate(_fields(row))


def rule_set_version(row: RuleSet) -> RuleSetVersion:
    """Return a stored version as the list of versions shows it."""
    return RuleSetVersion.model_validate(_fields(row) | {"active": row.active, "created_by": row.created_by})


def _fields(row: RuleSet) -> dict[str, Any]:
    return {
        "version": row.version,
        "created_at": row.created_at,
        "rules": row.body.get("rules", []),
        "all_day": row.body.get("all_day", False),
    }


class _DocumentedAsRuleSet:
    """Accept any JSON as the body, and document it in OpenAPI as a rule set."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(RuleSetBody.__pydantic_core_schema__)


def _read_rule_set(document: Annotated[Any, _DocumentedAsRuleSet, fastapi.Body()]) -> RuleSetBody:
    """Read a rule set away from the event loop: to compile its patterns takes time.

    FastAPI reads models on the loop, but runs a dependency that is a plain function in a thread.
    """
    try:
        return RuleSetBody.model_validate(document)
    except ValidationError as refusal:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in refusal.errors(include_url=False)]
        raise RequestValidationError(faults) from None


# A route must name its caller first: dependencies run in order, and a stranger's patterns are not to be compiled.
SentRuleSet = Annotated[RuleSetBody, Depends(_read_rule_set)]
