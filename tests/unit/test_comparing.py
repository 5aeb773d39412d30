"""What a listing changes about what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from meetbot.calendars.listing_diff import compare, fingerprint, window_at
from meetbot.domain.stored_event import StoredEvent
from meetbot.providers.base import ListedEvent, Listing

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WINDOW = window_at(NOW, 30)


def stored(raw: dict[str, Any], *, calendar_id: str = "primary", deleted: bool = False) -> StoredEvent:
    return StoredEvent(
        id=f"evt_{raw['id']}",
        calendar_id=calendar_id,
        provider_event_id=raw["id"],
        fingerprint=fingerprint(orjson.dumps(raw)),
        deleted=deleted,
        start_at=NOW,
        end_at=NOW + timedelta(hours=1),
        outcome="skip",
        shared_key=f"mtg_{raw['id']}",
        meeting_key=f"mtg_{raw['id']}",
        meeting_url=None,
        provider_updated=None,
        is_organizer=False,
        claimed_event_id=None,
        claimed_digest=None,
        acknowledged_digest=None,
    )


def listing(*raws: dict[str, Any], complete: tuple[str, ...] = ("primary",), failed: tuple[str, ...] = ()) -> Listing:
    return Listing(
        [ListedEvent("primary", raw["id"], orjson.dumps(raw)) for raw in raws], frozenset(complete), frozenset(failed)
    )


def test_an_event_listed_as_it_was_stored_is_neither_changed_nor_missing() -> None:
    raw = {"id": "a", "summary": "Planning"}
    difference = compare([stored(raw)], listing(orjson.loads(orjson.dumps(raw))), WINDOW, now=WINDOW.start)
    assert (difference.changed, difference.missing) == ((), ())


def test_any_difference_in_the_providers_json_is_a_change() -> None:
    known = stored({"id": "a", "summary": "Planning"})
    (change,) = compare([known], listing({"id": "a", "summary": "Planning "}), WINDOW, now=WINDOW.start).changed
    assert change.stored is known
    assert change.fingerprint != known.fingerprint


def test_an_event_that_a_complete_listing_does_not_show_is_missing() -> None:
    known = stored({"id": "a"})
    assert compare([known], listing(), WINDOW, now=WINDOW.start).missing == (known,)


def test_a_calendar_that_failed_says_nothing_about_what_it_does_not_show() -> None:
    assert (
        compare([stored({"id": "a"})], listing(complete=(), failed=("primary",)), WINDOW, now=WINDOW.start).missing
        == ()
    )


def test_a_tombstone_is_not_missed() -> None:
    assert compare([stored({"id": "a"}, deleted=True)], listing(), WINDOW, now=WINDOW.start).missing == ()


def test_an_event_that_cannot_be_read_is_a_change_without_content_and_hides_no_other() -> None:
    broken = ListedEvent("primary", "a", b'{"id": "a", "summary": "\xff"}')
    both = Listing([broken, *listing({"id": "b"}).events], frozenset(["primary"]), frozenset())
    assert [change.raw for change in compare([], both, WINDOW, now=WINDOW.start).changed] == [{}, {"id": "b"}]
