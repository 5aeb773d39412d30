"""The types of fields that requests are made of, each with its bounds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_ATTRIBUTES = 50
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MAX_ATTRIBUTE_TEXT = 500
_MAX_ATTRIBUTE_LIST = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Body(BaseModel):
    """A request body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _without_control(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("invalid_text", "must hold no control characters")
    return value


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    for name, held in _named(value).items():
        if held is None:
            raise PydanticCustomError("invalid_attribute", "{name}: give it a value", {"name": name})
    return value


def _named(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) > MAX_ATTRIBUTES:
        raise PydanticCustomError("too_many", "at most {limit} attributes", {"limit": MAX_ATTRIBUTES})
    for name, held in value.items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise PydanticCustomError(
                "invalid_attribute_name",
                "names begin with a letter and hold letters, digits, '_', '-' and '.'; 64 at most",
            )
        _check_attribute(held)
    return value


def _check_attribute(value: Any) -> None:
    if value is None or isinstance(value, bool | int | float):
        return
    texts = value if isinstance(value, list) else [value]
    if len(texts) > _MAX_ATTRIBUTE_LIST:
        raise PydanticCustomError("too_many", "a list holds at most {limit} texts", {"limit": _MAX_ATTRIBUTE_LIST})
    for text in texts:
        if not isinstance(text, str):
            raise PydanticCustomError(
                "invalid_attribute", "an attribute is a text, a number, a truth or a list of texts"
            )
        if len(text) > _MAX_ATTRIBUTE_TEXT:
            raise PydanticCustomError(
                "string_too_long", "a text holds at most {limit} characters", {"limit": _MAX_ATTRIBUTE_TEXT}
            )


def _mend_plus(value: object) -> object:
    """Return the time with the plus sign of its offset, if that was read as a space.

    A plus sign in a query reads as a space if it was not escaped; no offset follows a space otherwise.
    """
    return re.sub(r" (?=\d\d:?\d\d$)", "+", value) if isinstance(value, str) else value


def _not_a_number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+", value.strip()):
        raise PydanticCustomError("datetime_parsing", "must be an RFC 3339 time with its offset")
    return value


ShortText = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_without_control)]


def _attribute_schema(*more: dict[str, Any]) -> WithJsonSchema:
    text = {"type": "string", "maxLength": _MAX_ATTRIBUTE_TEXT}
    texts = {"type": "array", "maxItems": _MAX_ATTRIBUTE_LIST, "items": text}
    return WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_ATTRIBUTES,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"},
            "additionalProperties": {"anyOf": [text, texts, {"type": "number"}, {"type": "boolean"}, *more]},
            "examples": [{"manager_email": "mia@example.com"}],
        }
    )


Attributes = Annotated[dict[str, Any], AfterValidator(_attributes), _attribute_schema()]
AttributeChanges = Annotated[dict[str, Any], AfterValidator(_named), _attribute_schema({"type": "null"})]
Instant = Annotated[AwareDatetime, BeforeValidator(_not_a_number), BeforeValidator(_mend_plus)]
