"""A rule as an English sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FACTS = {
    "internal": "it is internal", "external": "it is external", "one_to_one": "it is one to one",
    "is_organizer": "the owner organises it", "recurring": "it repeats", "all_day": "it is all day",
    "always": "it is any meeting", "attendee_count": "the number of people", "external_count": "the number of externals",
    "duration_minutes": "its length in minutes", "title": "its title", "organizer_email": "the organiser's address",
    "organizer_domain": "the organiser's domain", "platform": "its platform", "provider": "the provider",
    "calendar_id": "its calendar", "visibility": "its visibility", "response": "the owner's answer",
    "attendee_domains": "the domains of its people", "attendee_emails": "the addresses of its people",
    "start": "it starts",
}  # fmt: skip
_TESTS = {
    "eq": "is", "ne": "is not", "gt": "is over", "gte": "is at least", "lt": "is under", "lte": "is at most",
    "in": "is one of", "contains": "contains", "matches": "matches", "any_of": "include any of", "all_of": "include all of",
    "none_of": "include none of",
}  # fmt: skip


def rule_sentence(rule: Mapping[str, Any]) -> str:
    """Return what a rule says, such as "Record it if it is internal."."""
    action = "Record" if rule.get("action") == "record" else "Skip"
    return f"{action} it if {_said(rule.get('when', {}))}."


def _said(predicate: Any) -> str:
    if not isinstance(predicate, Mapping) or not predicate:
        return "…"
    name, value = next(iter(predicate.items()))
    if name in ("all", "any") and isinstance(value, list):
        joined = (" and " if name == "all" else " or ").join(_part(one) for one in value)
        return joined or "…"
    if name == "not":
        return f"not ({_said(value)})"
    return _fact(str(name), value)


def _part(predicate: Any) -> str:
    nested = isinstance(predicate, Mapping) and next(iter(predicate), None) in ("all", "any")
    return f"({_said(predicate)})" if nested else _said(predicate)


def _fact(name: str, test: Any) -> str:
    said = _FACTS.get(name, name.replace("_", " "))
    if test is True:
        return said
    if test is False:
        return f"not ({said})"
    if name == "start" and isinstance(test, Mapping):
        days = ", ".join(map(str, test.get("weekdays", []))) or "any day"
        hours = f" from {test['from']} to {test['to']}" if "from" in test and "to" in test else ""
        return f"{said} on {days}{hours} ({test.get('timezone', 'UTC')})"
    if isinstance(test, Mapping):
        return f"{said} " + " and ".join(f"{_TESTS.get(key, key)} {_value(held)}" for key, held in test.items())
    return f"{said} is {_value(test)}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    return f"“{value}”" if isinstance(value, str) else str(value)
