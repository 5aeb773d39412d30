"""The facts that a rule may name, by the type of their test, and the values that exist."""

from __future__ import annotations

import re
from typing import Final

from meetbot.domain.event import Platform, Provider, Response, Visibility
from meetbot.rules.fact_tests import TextTest

ALWAYS: Final = "always"
CONNECTIVES: Final = ("all", "any", "not")
TRUTH_FACTS: Final = ("internal", "external", "one_to_one", "is_organizer", "recurring", "all_day")
COUNT_FACTS: Final = ("attendee_count", "external_count")
NUMBER_FACTS: Final = (*COUNT_FACTS, "duration_minutes")
TEXT_FACTS: Final = (
    "title",
    "organizer_email",
    "organizer_domain",
    "platform",
    "provider",
    "calendar_id",
    "visibility",
    "response",
)
SET_FACTS: Final = ("attendee_domains", "attendee_emails")
FACTS: Final = (*TRUTH_FACTS, *NUMBER_FACTS, *TEXT_FACTS, *SET_FACTS, "start")
PREDICATES: Final = (*FACTS, ALWAYS, *CONNECTIVES)

NUMBER_TESTS: Final = ("eq", "ne", "gt", "gte", "lt", "lte")
TEXT_TESTS: Final = tuple(field.alias or name for name, field in TextTest.model_fields.items())
SET_TESTS: Final = ("any_of", "all_of", "none_of")
START_TESTS: Final = ("weekdays", "from", "to", "timezone")

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "platform": tuple(item.value for item in Platform),
    "provider": tuple(item.value for item in Provider),
    "visibility": tuple(item.value for item in Visibility),
    "response": tuple(item.value for item in Response),
}
"""The text facts that only ever have one of these values."""

DOMAIN_FACTS: Final = frozenset(("organizer_domain", "attendee_domains"))
ADDRESS_FACTS: Final = frozenset(("organizer_email", "attendee_emails"))

_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


def attribute_in(text: str) -> str | None:
    """Return the attribute that a text such as ``$manager_email`` names; None for a plain text.

    ``$$`` is a plain dollar sign.
    """
    return text[1:] if text.startswith("$") and not text.startswith("$$") else None


def plain_text(text: str) -> str:
    """Return what a text that names no attribute stands for; ``$$`` is a plain ``$``."""
    return text[1:] if text.startswith("$$") else text


def is_attribute_name(name: str) -> bool:
    """Return whether an attribute can have this name."""
    return _ATTRIBUTE_NAME.fullmatch(name) is not None
