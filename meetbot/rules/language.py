"""The rule language on the wire: typed, documented models, from which OpenAPI gets its schema.

Three sentences, one short rule each:

    skip 1:1s with my manager     {"all": [{"one_to_one": true}, {"attendee_emails": {"any_of": ["$manager_email"]}}]}
    record with @customer.com     {"attendee_domains": {"any_of": ["customer.com"]}}
    record all internal meetings  {"internal": true}

What a document may hold is decided by `meetbot.rules.validator`; these models repeat it for tools that read schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

MAX_RULES: Final = 100
MAX_DEPTH: Final = 8
MAX_NODES: Final = 500
MAX_LIST: Final = 200
MAX_NAME: Final = 100
MAX_TEXT: Final = 500
MAX_PATTERN: Final = 200
MAX_NUMBER: Final = 1_000_000
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Action(StrEnum):
    RECORD = "record"
    SKIP = "skip"


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


Text = Annotated[str, Field(max_length=MAX_TEXT)]
SomeText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
SomeTexts = Annotated[list[SomeText], Field(min_length=1, max_length=MAX_LIST)]
_Bounds = Field(ge=-MAX_NUMBER, le=MAX_NUMBER)
Number = Annotated[int, _Bounds] | Annotated[float, _Bounds]
Count = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ClosingTime = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _say_what_is_taken(schema: dict[str, Any]) -> None:
    """At least one test. Each may be left out, which is None in here; but null is not a test."""
    schema["minProperties"] = 1
    for test in schema["properties"].values():
        if test.get("default", ...) is not None:
            continue
        del test["default"]
        choices = [choice for choice in test.pop("anyOf") if choice != {"type": "null"}]
        test.update(choices[0] if len(choices) == 1 else {"anyOf": choices})


_AT_LEAST_ONE = ConfigDict(json_schema_extra=_say_what_is_taken)


class NumberTest(_Wire):
    """Every bound that is given must hold."""

    model_config = _AT_LEAST_ONE

    eq: Number | None = None
    ne: Number | None = None
    gt: Number | None = None
    gte: Number | None = None
    lt: Number | None = None
    lte: Number | None = None


class CountTest(NumberTest):
    """Every bound that is given must hold. A count is a whole number."""

    eq: Count | None = None
    ne: Count | None = None


class TextTest(_Wire):
    """Every test that is given must hold. Letter case is ignored; `matches` is an RE2 pattern, searched anywhere."""

    model_config = _AT_LEAST_ONE

    in_: Annotated[list[Text], Field(min_length=1, max_length=MAX_LIST)] | None = Field(default=None, alias="in")
    contains: SomeText | None = None
    matches: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)] | None = None


class SetTest(_Wire):
    """`any_of`: at least one of these is there; `all_of`: each of these is; `none_of`: none of these is."""

    model_config = _AT_LEAST_ONE

    any_of: SomeTexts | None = None
    all_of: SomeTexts | None = None
    none_of: SomeTexts | None = None


class StartTest(_Wire):
    """Tests the event's start as a clock in `timezone` shows it. `from` is included, `to` is not; a `to` before `from`
    goes over midnight. `timezone` is an IANA name or `$attribute`; UTC where it is left out."""

    model_config = _AT_LEAST_ONE

    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)] | None = None
    from_: ClockTime | None = Field(default=None, alias="from")
    to: ClosingTime | None = None
    timezone: SomeText = "UTC"


class AllOf(_Wire):
    """Every predicate holds."""

    all: Annotated[list[Predicate], Field(min_length=1, max_length=MAX_LIST)]


class AnyOf(_Wire):
    """At least one predicate holds."""

    any: Annotated[list[Predicate], Field(min_length=1, max_length=MAX_LIST)]


class Not(_Wire):
    """The predicate does not hold."""

    not_: Predicate = Field(alias="not")


class Internal(_Wire):
    """All people are under an internal domain."""

    internal: bool


class External(_Wire):
    """At least one person's domain is under no internal domain."""

    external: bool


class OneToOne(_Wire):
    """Exactly two people, rooms and those who declined not counted."""

    one_to_one: bool


class IsOrganizer(_Wire):
    """The calendar user organises the event."""

    is_organizer: bool


class Recurring(_Wire):
    """The event is an instance of a series."""

    recurring: bool


class AllDay(_Wire):
    """The event has no times of day. A rule that names this as true decides all-day events."""

    all_day: bool


class AttendeeCount(_Wire):
    """How many people take part, the calendar user and the organiser included."""

    attendee_count: Count | CountTest


class ExternalCount(_Wire):
    """How many people are external."""

    external_count: Count | CountTest


class DurationMinutes(_Wire):
    """From start to end, in minutes."""

    duration_minutes: Number | NumberTest


class Title(_Wire):
    """The event's title."""

    title: Text | TextTest


class OrganizerEmail(_Wire):
    """The organiser's address; `+tag` is ignored where addresses are compared."""

    organizer_email: SomeText | TextTest


class OrganizerDomain(_Wire):
    """The organiser's domain; a base domain covers its subdomains."""

    organizer_domain: SomeText | TextTest


class PlatformIs(_Wire):
    """Where the meeting takes place: `google_meet`, `microsoft_teams`, `zoom`, `webex`, …"""

    platform: SomeText | TextTest


class ProviderIs(_Wire):
    """`google` or `microsoft`."""

    provider: SomeText | TextTest


class CalendarId(_Wire):
    """The provider's id of the calendar that holds the event."""

    calendar_id: SomeText | TextTest


class VisibilityIs(_Wire):
    """`default`, `public`, `private` or `confidential`."""

    visibility: SomeText | TextTest


class ResponseIs(_Wire):
    """The calendar user's own answer: `accepted`, `tentative`, `declined` or `needs_action`."""

    response: SomeText | TextTest


class AttendeeDomains(_Wire):
    """The people's domains; `customer.com`, `@customer.com`, `*.customer.com` all mean it and its subdomains."""

    attendee_domains: SetTest


class AttendeeEmails(_Wire):
    """The people's addresses; letter case and `+tag` are ignored."""

    attendee_emails: SetTest


class Start(_Wire):
    """When the event starts."""

    start: StartTest


def _only_key(value: object) -> str | None:
    """What tells predicates apart: their only field."""
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
