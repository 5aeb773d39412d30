"""The JSON Schema that OpenAPI shows says the same as the parser, as far as a schema can."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from meetbot.rules import RuleSetBody, vocabulary
from meetbot.rules.language import EXAMPLE, Predicate
from meetbot.rules.validator import check_document
from tests.unit.rules.shared import rule

_SCHEMA = RuleSetBody.model_json_schema(mode="validation")
_VALIDATOR = jsonschema.Draft202012Validator(_SCHEMA)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)


def test_the_example_of_the_schema_is_the_contract_s() -> None:
    assert _SCHEMA["examples"] == [EXAMPLE]
    assert _VALIDATOR.is_valid(EXAMPLE)


def test_every_fact_has_its_own_described_model() -> None:
    schema = TypeAdapter(Predicate).json_schema()
    models = [schema["$defs"][choice["$ref"].rsplit("/", 1)[1]] for choice in schema["oneOf"]]
    assert {name for model in models for name in model["required"]} == {
        *vocabulary.FACTS,
        *vocabulary.CONNECTIVES,
        vocabulary.ALWAYS,
    }
    assert all(model["description"] and model["additionalProperties"] is False for model in models)


@pytest.mark.parametrize(
    "when",
    [
        {"always": True},
        {"all": [{"always": True}, {"not": {"always": True}}]},
        {"internal": True},
        {"not": {"any": [{"external": False}, {"attendee_count": 3}]}},
        {"attendee_count": {"eq": 3, "gt": 2.5}},
        {"duration_minutes": 2.5},
        {"title": {"in": ["a"], "matches": "b"}},
        {"title": ""},
        {"attendee_domains": {"any_of": ["x.com"]}},
        {"start": {"weekdays": ["mon"], "from": "00:00", "to": "24:00", "timezone": "Europe/Berlin"}},
    ],
)
def test_what_the_parser_takes_the_schema_takes(when: dict[str, Any]) -> None:
    document = {"rules": [rule(when)]}
    assert check_document(document) == []
    assert _VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"always": False},
        {"always": "true"},
        {"intrenal": True},
        {"internal": True, "external": True},
        {"internal": "yes"},
        {"all": []},
        {"attendee_count": "3"},
        {"attendee_count": {}},
        {"attendee_count": {"min": 1}},
        {"attendee_count": 10**9},
        {"attendee_count": 2.5},
        {"external_count": {"eq": -1}},
        {"title": {}},
        {"title": {"matches": "x" * 201}},
        {"title": {"in": []}},
        {"attendee_domains": "x.com"},
        {"attendee_domains": {"any_of": []}},
        {"start": {"from": "9:00"}},
        {"start": {"weekdays": ["monday"]}},
        {"attendee_count": {"lt": None, "gt": 1}},
        {"title": {"in": None, "contains": "x"}},
        {"attendee_emails": {"any_of": None, "all_of": ["a@b.com"]}},
        {"start": {"from": None, "to": "10:00"}},
        {"start": {"weekdays": None, "to": "10:00"}},
    ],
)
def test_what_the_schema_refuses_the_parser_refuses(when: dict[str, Any]) -> None:
    document = {"rules": [rule(when)]}
    assert not _VALIDATOR.is_valid(document)
    assert check_document(document)


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_no_test_of_a_fact_may_be_null(mode: JsonSchemaMode) -> None:
    assert "null" not in json.dumps(RuleSetBody.model_json_schema(mode=mode))
