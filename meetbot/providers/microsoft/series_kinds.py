"""Whether the series behind a changed occurrence is an all-day one.

A day of an all-day series that was given a time, and an occurrence of a timed one that was made all-day, do not say so
themselves, and their original start depends on it (`original_start`). A sibling on the same page tells, or the series itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import orjson
from cachetools import TTLCache

from meetbot.errors import ResourceGone
from meetbot.providers.base import RawEvent
from meetbot.providers.microsoft.original_start import SERIES_IS_ALL_DAY
from meetbot.providers.storable_text import ID_LIMIT, exact
from meetbot.providers.wire_json import Head, RawItem, parse_object

_REMEMBERED: Final = 50_000
_SECONDS: Final = 24 * 3600.0
# Each costs a request; what is beyond it counts as being of its series' kind.
_MOST_ASKED_PER_PAGE: Final = 50

ReadMaster = Callable[[str], RawEvent]
"""Reads the master of a series by its id; raises `ProviderError`s."""


class EventHead(Head):
    """The fields by which versions, changed ones of a series, and withheld ones are told apart."""

    updated: Any = msgspec.field(default=None, name="lastModifiedDateTime")
    type: Any = None
    series: Any = msgspec.field(default=None, name="seriesMasterId")
    all_day: Any = msgspec.field(default=None, name="isAllDay")
    organizer: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class SeriesKinds:
    """What is known of the series' kinds; safe to use from many threads."""

    def __init__(self) -> None:
        self._known: TTLCache[str, bool] = TTLCache(_REMEMBERED, _SECONDS)
        self._lock = threading.Lock()

    def note_on_page(self, items: Sequence[RawItem], read_master: ReadMaster) -> list[RawItem]:
        """Return the items with the kind of their series noted on each changed occurrence."""
        for item in items:
            series = _series_of(item, "occurrence")
            if series is not None:
                self._remember(series, all_day=getattr(item.head, "all_day", None) is True)
        asked = 0
        noted = []
        for item in items:
            series = _series_of(item, "exception")
            kind = self._known_kind(series) if series is not None else None
            if series is not None and kind is None and asked < _MOST_ASKED_PER_PAGE:
                asked += 1
                kind = self._ask(series, read_master)
            noted.append(item if kind is None else _noted(item, all_day=kind))
        return noted

    def note(self, raw: dict[str, Any], read_master: ReadMaster | None) -> dict[str, Any]:
        """Return one event with the kind of its series noted, if it is a changed occurrence.

        Without ``read_master``, only a kind that is known already.
        """
        series = exact(raw.get("seriesMasterId"), ID_LIMIT) if raw.get("type") == "exception" else None
        if series is None:
            return raw
        kind = self._known_kind(series)
        if kind is None and read_master is not None:
            kind = self._ask(series, read_master)
        return raw if kind is None else raw | {SERIES_IS_ALL_DAY: kind}

    def _ask(self, series: str, read_master: ReadMaster) -> bool | None:
        """Ask for the series; None if it is gone, and its changed occurrence will soon be too."""
        try:
            all_day = read_master(series).get("isAllDay") is True
        except ResourceGone:
            return None
        self._remember(series, all_day=all_day)
        return all_day

    def _known_kind(self, series: str) -> bool | None:
        with self._lock:
            return self._known.get(series)

    def _remember(self, series: str, *, all_day: bool) -> None:
        with self._lock:
            self._known[series] = all_day


def _series_of(item: RawItem, event_type: str) -> str | None:
    """Return the id of the series, if the item is an event of this type."""
    head = item.head
    if not isinstance(head, EventHead) or head.type != event_type:
        return None
    return exact(head.series, ID_LIMIT)


def _noted(item: RawItem, *, all_day: bool) -> RawItem:
    raw = parse_object(item.body)
    return item if raw is None else item._replace(body=orjson.dumps(raw | {SERIES_IS_ALL_DAY: all_day}))
