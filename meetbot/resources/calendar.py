"""One calendar of an account as customers see it, and what to do about one that is not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from meetbot.domain.account_calendar import AccessRole, CalendarsMode
from meetbot.domain.calendar_health import GONE, KnownCalendar, selected_ids
from meetbot.providers.listing import FREE_BUSY_ONLY, LIST_DENIED, NOT_LISTED, REFUSED
from meetbot.resources.base import OneOf, Resource

_WAIT: Final = "Nothing to do: it is read again at the next sync."
_NEXT_STEPS: Final[Mapping[str, str]] = {
    GONE: "The provider has this calendar no more, or its owner shares it no more. Deselect it, or have it shared again.",
    FREE_BUSY_ONLY: "Its owner shows only free and busy. Ask them to share all event details, or deselect the calendar.",
    REFUSED: "The provider refuses its events. Ask its owner to share it again, or deselect the calendar.",
    LIST_DENIED: "Connect again and leave the permission to see the list of calendars ticked.",
    NOT_LISTED: _WAIT,
    "rate_limited": "Nothing to do: the provider asked us to wait, and it is read again after that.",
    "listing_cut_short": "It holds more events than are read. Deselect it if it is an archive.",
}


class CalendarError(Resource):
    """Why a calendar was not read, and what to do about it."""

    code: str = Field(examples=[FREE_BUSY_ONLY])
    next_step: str


class CalendarResource(Resource):
    """One calendar of an account."""

    id: str = Field(description="`primary` is the account's own calendar.", examples=["primary"])
    name: str | None = Field(description="Null if the account does not let us read its list of calendars.")
    primary: bool
    owned: bool = Field(description="The account's own calendar, or one that it made itself.")
    access_role: Annotated[str, OneOf(AccessRole)]
    selected: bool = Field(description="Whether it is to be read, by the present mode.")
    last_synced_at: datetime | None = Field(description="When it was last read to its end.")
    error: CalendarError | None = Field(description="Null unless it is to be read and could not be.")


def calendar_resources(
    known: Sequence[KnownCalendar], mode: CalendarsMode, *, synced_at: datetime | None
) -> list[CalendarResource]:
    """Return the resources of an account's calendars.

    ``synced_at`` is when the calendar user's last sync began.
    """
    selected = set(selected_ids(known, mode))
    return [_resource(one, one.id in selected, synced_at) for one in known]


def _resource(one: KnownCalendar, selected: bool, synced_at: datetime | None) -> CalendarResource:
    is_missed = selected or one.gone_at is not None
    fields = {
        "id": one.id,
        "name": one.calendar.name,
        "primary": one.calendar.is_primary,
        "owned": one.calendar.owned,
        "access_role": one.calendar.access_role.value,
        "selected": selected,
        "last_synced_at": one.synced_at(synced_at),
        "error": _error(one.error_code) if one.error_code is not None and is_missed else None,
    }
    return CalendarResource.model_validate(fields)


def _error(code: str) -> CalendarError:
    return CalendarError(code=code, next_step=_NEXT_STEPS.get(code, _WAIT))
