"""Check documents against the schemas in Google's own discovery document."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

import jsonschema


@functools.lru_cache(maxsize=1)
def _schemas() -> dict[str, Any]:
    text = (files("googleapiclient") / "discovery_cache/documents/calendar.v3.json").read_text()
    return {name: _closed(schema) for name, schema in json.loads(text)["schemas"].items()}


def _closed(schema: Any) -> Any:
    """A schema of the discovery document as JSON Schema that refuses unknown properties."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: _closed(value) for name, value in schema.items() if name in ("type", "enum", "items", "pattern")}
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    if "properties" in schema:
        kept["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        kept["additionalProperties"] = _closed(schema.get("additionalProperties", False))
    if kept.get("type") == "any":
        del kept["type"]
    return kept


def check(name: str, document: Any) -> None:
    """Raise `jsonschema.ValidationError` if a document does not fit the schema of this name."""
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _schemas()}).validate(document)
