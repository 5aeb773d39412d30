"""The rule language as JSON: typed, documented models, of which OpenAPI makes its schema.

Three sentences, one short rule each:

    skip 1:1s with my manager     {"all": [{"one_to_one": true}, {"attendee_emails": {"any_of": ["$manager_email"]}}]}
    record with @customer.com     {"attendee_domains": {"any_of": ["customer.com"]}}
    record all internal meetings  {"internal": true}

`meetbot.rules.validator` decides what a document may hold. These models say the same for tools that read schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from meetbot.rules.fact_tests import (
    MAX_LIST,
    Count,
    CountTest,
    Number,
    NumberTest,
    SetTest,
    SomeText,
    StartTest,
    Text,
    TextTest,
    Wire,
)

MAX_RULES: Final = 100
MAX_DEPTH: Final = 8
MAX_NODES: Final = 500
MAX_NAME: Final = 100


class Action(StrEnum):
    """What a rule does with the events that it matches."""

    RECORD = "record"
    SKIP = "skip"


class AllOf(Wire):
    """Every predicate holds."""

    all: Annotated[list[Predicate], Field(min_length=1, max_length=MAX_LIST)]


class AnyOf(Wire):
    """At least one predicate holds."""

    any: Annotated[list[Predicate], Field(min_length=1, max_length=MAX_LIST)]


class Not(Wire):
    """The predicate does not hold."""

    not_: Predicate = Field(alias="not")


class Always(Wire):
    """Every event. Only `true` is accepted: what is to match no event is a rule to leave out."""

    always: Literal[True]


class Internal(Wire):
    """All people are under an internal domain."""

    internal: bool


class External(Wire):
    """At least one person's domain is under no internal domain."""

    external: bool


class OneToOne(Wire):
    """Exactly two people, rooms and those who declined not counted."""

    one_to_one: bool


class IsOrganizer(Wire):
    """The calendar user organises the event."""

    is_organizer: bool


class Recurring(Wire):
    """The event is an instance of a series."""

    recurring: bool


class AllDay(Wire):
    """The event has no times of day. A rule that names this as true decides all-day events."""

    all_day: bool


class AttendeeCount(Wire):
    """The number of people who take part, the calendar user and the organiser included."""

    attendee_count: Count | CountTest


class ExternalCount(Wire):
    """The number of external people."""

    external_count: Count | CountTest


class DurationMinutes(Wire):
    """From start to end, in minutes."""

    duration_minutes: Number | NumberTest


class Title(Wire):
    """The event's title."""

    title: Text | TextTest


class OrganizerEmail(Wire):
    """The organiser's address; `+tag` is ignored if whole addresses are compared."""

    organizer_email: SomeText | TextTest


class OrganizerDomain(Wire):
    """The organiser's domain; a base domain covers its subdomains."""

    organizer_domain: SomeText | TextTest


class PlatformIs(Wire):
    """The platform of the meeting: `google_meet`, `microsoft_teams`, `zoom` and so on."""

    platform: SomeText | TextTest


class ProviderIs(Wire):
    """`google` or `microsoft`."""

    provider: SomeText | TextTest


class CalendarId(Wire):
    """The provider's id of the calendar that holds the event."""

    calendar_id: SomeText | TextTest


class VisibilityIs(Wire):
    """`default`, `public`, `private` or `confidential`."""

    visibility: SomeText | TextTest


class ResponseIs(Wire):
    """The calendar user's own response: `accepted`, `tentative`, `declined` or `needs_action`."""

    response: SomeText | TextTest


class AttendeeDomains(Wire):
    """The people's domains. A domain covers its subdomains.

    `customer.com`, `@customer.com` and `*.customer.com` mean the same."""

    attendee_domains: SetTest


class AttendeeEmails(Wire):
    """The people's addresses; letter case and `+tag` are ignored."""

    attendee_emails: SetTest


class Start(Wire):
    """The start of the event."""

    start: StartTest


def _only_key(value: object) -> str | None:
    """The only field of a predicate, which tells predicates apart."""
    if isinstance(value, BaseModel):
        field = next(iter(type(value).model_fields.values()), None)
        name = next(iter(type(value).model_fields), None)
        return field.alias or name if field else None
    if isinstance(value, Mapping) and len(value) == 1:
        return str(next(iter(value)))
    return None


Predicate = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[Always, Tag("always")]
    | Annotated[Internal, Tag("internal")]
    | Annotated[External, Tag("external")]
    | Annotated[OneToOne, Tag("one_to_one")]
    | Annotated[IsOrganizer, Tag("is_organizer")]
    | Annotated[Recurring, Tag("recurring")]
    | Annotated[AllDay, Tag("all_day")]
    | Annotated[AttendeeCount, Tag("attendee_count")]
    | Annotated[ExternalCount, Tag("external_count")]
    | Annotated[DurationMinutes, Tag("duration_minutes")]
    | Annotated[Title, Tag("title")]
    | Annotated[OrganizerEmail, Tag("organizer_email")]
    | Annotated[OrganizerDomain, Tag("organizer_domain")]
    | Annotated[PlatformIs, Tag("platform")]
    | Annotated[ProviderIs, Tag("provider")]
    | Annotated[CalendarId, Tag("calendar_id")]
    | Annotated[VisibilityIs, Tag("visibility")]
    | Annotated[ResponseIs, Tag("response")]
    | Annotated[AttendeeDomains, Tag("attendee_domains")]
    | Annotated[AttendeeEmails, Tag("attendee_emails")]
    | Annotated[Start, Tag("start")],
    Discriminator(_only_key),
]

EXAMPLE: Final[dict[str, Any]] = {
    "rules": [
        {
            "name": "no 1:1s with my manager",
            "action": "skip",
            "when": {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]},
        },
        {
            "name": "customers",
            "action": "record",
            "when": {"attendee_domains": {"any_of": ["customer.com"]}},
        },
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
