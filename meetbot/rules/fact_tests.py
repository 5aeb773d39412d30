"""The tests that a rule may put to a fact: typed, documented models with their limits."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_LIST: Final = 200
MAX_TEXT: Final = 500
MAX_PATTERN: Final = 200
MAX_NUMBER: Final = 1_000_000
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Wire(BaseModel):
    """A part of a rule, as JSON holds it: unknown fields are refused."""

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


def _describe_optional_tests(schema: dict[str, Any]) -> None:
    """Say in the schema: at least one test.

    Each may be left out, which is None in Python; but null is no test.
    """
    schema["minProperties"] = 1
    for test in schema["properties"].values():
        if test.get("default", ...) is not None:
            continue
        del test["default"]
        choices = [choice for choice in test.pop("anyOf") if choice != {"type": "null"}]
        test.update(choices[0] if len(choices) == 1 else {"anyOf": choices})


_AT_LEAST_ONE = ConfigDict(json_schema_extra=_describe_optional_tests)


class NumberTest(Wire):
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


class TextTest(Wire):
    """Every test that is given must hold. Letter case does not matter.

    `in` is equal to one of these texts; `contains` is literal; `matches` is an RE2 pattern, searched anywhere."""

    model_config = _AT_LEAST_ONE

    in_: Annotated[list[Text], Field(min_length=1, max_length=MAX_LIST)] | None = Field(default=None, alias="in")
    contains: SomeText | None = None
    matches: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)] | None = None


class SetTest(Wire):
    """At least one of `any_of` is there, each of `all_of`, and none of `none_of`."""

    model_config = _AT_LEAST_ONE

    any_of: SomeTexts | None = None
    all_of: SomeTexts | None = None
    none_of: SomeTexts | None = None


class StartTest(Wire):
    """The event's start, as clocks in `timezone` show it.

    `from` is included, `to` is not; a `to` before `from` goes over midnight. `timezone` is an IANA name or the `$name` of
    an attribute; without it, the zone is UTC."""

    model_config = _AT_LEAST_ONE

    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)] | None = None
    from_: ClockTime | None = Field(default=None, alias="from")
    to: ClosingTime | None = None
    timezone: SomeText = "UTC"
