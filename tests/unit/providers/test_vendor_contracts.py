"""The parameters and fields that we ask for exist in the vendors' own API descriptions."""

from __future__ import annotations

import functools
import importlib.resources
import importlib.util
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from meetbot.providers.google.adapter import CALENDAR_LIST_SCOPE, EVENTS_SCOPE
from meetbot.providers.google.calendars import calendar_list_query, event_list_query
from meetbot.providers.microsoft.calendars import EVENT_FIELDS
from meetbot.providers.microsoft.calendars import calendar_list_query as graph_calendar_list_query
from tests.unit.providers.scripted import WINDOW_END, WINDOW_START


@functools.cache
def discovery() -> dict[str, Any]:
    """The discovery document of the Calendar API, as google-api-python-client carries it."""
    folder = importlib.resources.files("googleapiclient") / "discovery_cache" / "documents"
    document: dict[str, Any] = orjson.loads((folder / "calendar.v3.json").read_bytes())
    return document


def method(resource: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = discovery()["resources"][resource]["methods"][name]
    return found


EVENTS_QUERY = event_list_query(WINDOW_START, WINDOW_END, "token", 2500)


@pytest.mark.parametrize(
    ("resource", "query"), [("events", EVENTS_QUERY), ("calendarList", calendar_list_query("token"))]
)
def test_google_knows_every_parameter_and_its_values(resource: str, query: list[tuple[str, str]]) -> None:
    known = method(resource, "list")["parameters"] | discovery()["parameters"]
    for name, value in query:
        assert name in known
        assert value in known[name].get("enum", [value])


@pytest.mark.parametrize(("schema", "query"), [("Events", EVENTS_QUERY), ("CalendarList", calendar_list_query(None))])
def test_google_has_every_field_that_is_asked_for(schema: str, query: list[tuple[str, str]]) -> None:
    paths = field_paths(dict(query)["fields"])
    assert len(paths) > 5
    for path in paths:
        described = discovery()["schemas"][schema]
        for name in path:
            assert name in described["properties"], path
            described = described["properties"][name]
            described = described.get("items", described)
            described = discovery()["schemas"].get(described.get("$ref"), described)


def field_paths(fields: str) -> list[list[str]]:
    """``a,b(c,d)`` as [[a], [b], [b, c], [b, d]]."""
    paths: list[list[str]] = []
    stack: list[str] = []
    last = ""
    for part in re.findall(r"[A-Za-z]+|[(),]", fields):
        if part == "(":
            stack.append(last)
        elif part == ")":
            stack.pop()
        elif part != ",":
            last = part
            paths.append([*stack, part])
    return paths


def test_the_scopes_we_ask_for_allow_what_we_call() -> None:
    assert EVENTS_SCOPE in method("events", "list")["scopes"]
    assert EVENTS_SCOPE in method("events", "get")["scopes"]
    assert CALENDAR_LIST_SCOPE in method("calendarList", "list")["scopes"]
    assert CALENDAR_LIST_SCOPE in method("calendarList", "get")["scopes"]


def graph_properties(*models: str) -> set[str]:
    """The properties in msgraph-sdk's generated models.

    Read as text: importing them takes seconds.
    """
    spec = importlib.util.find_spec("msgraph")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "generated" / "models"
    return {
        name
        for model in models
        for name in re.findall(r'"(\w+)": lambda', (folder / f"{model}.py").read_text(encoding="utf-8"))
    }


def test_graph_has_every_property_that_is_selected() -> None:
    events, calendars = graph_properties("event", "outlook_item", "entity"), graph_properties("calendar", "entity")
    assert set(EVENT_FIELDS.split(",")) <= events
    assert set(dict(graph_calendar_list_query())["$select"].split(",")) <= calendars
