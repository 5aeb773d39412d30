"""What all public resources have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Resource(BaseModel):
    """A public resource, the same in API answers and in webhooks."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    def document(self) -> dict[str, Any]:
        """Return the JSON object that customers get."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Say that a text field holds one of these values of an enum.

    OpenAPI then lists the values in place. An enum as the field's type would become a named schema of its own instead.
    """

    values: Iterable[StrEnum]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema([str(value) for value in self.values])
