"""Keys of meetings and of series."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.domain.identity import meeting_key, series_key
from tests.unit.planning_times import NOW, instants

# Meeting keys


def key_of(
    *,
    tenant_id: str = "tnt_1",
    ical_uid: str | None = "uid-1",
    original_start: datetime | None = None,
    calendar_user_id: str = "cu_1",
    calendar_id: str = "primary",
    provider_event_id: str = "event-1",
) -> str:
    return meeting_key(
        tenant_id,
        ical_uid,
        original_start,
        calendar_user_id=calendar_user_id,
        calendar_id=calendar_id,
        provider_event_id=provider_event_id,
    )


def test_colleagues_copies_of_one_meeting_share_its_key() -> None:
    anna = key_of(calendar_user_id="cu_anna", calendar_id="a", provider_event_id="1")

    assert anna == key_of(calendar_user_id="cu_ben", calendar_id="b", provider_event_id="2")


def test_two_tenants_never_share_a_key() -> None:
    assert key_of(tenant_id="tnt_1") != key_of(tenant_id="tnt_2")


def test_each_occurrence_of_a_series_is_a_meeting_of_its_own() -> None:
    assert key_of(original_start=NOW) != key_of(original_start=NOW + timedelta(days=7))


def test_an_occurrence_is_the_same_in_whatever_zone_its_original_start_is_told() -> None:
    in_another_zone = NOW.astimezone(tz=None)

    assert key_of(original_start=NOW) == key_of(original_start=in_another_zone)


def test_an_occurrence_is_not_its_series() -> None:
    assert key_of(original_start=NOW) != key_of(original_start=None)


@pytest.mark.parametrize("differing", ["tenant_id", "calendar_user_id", "calendar_id", "provider_event_id"])
def test_an_event_without_a_uid_stands_alone(differing: str) -> None:
    assert key_of(ical_uid=None) != key_of(ical_uid=None, **{differing: "another"})  # type: ignore[arg-type]


def test_an_event_without_a_uid_keeps_its_key() -> None:
    assert key_of(ical_uid=None) == key_of(ical_uid=None, original_start=NOW)


def test_a_uid_that_reads_like_an_event_id_meets_no_event_without_a_uid() -> None:
    assert key_of(ical_uid="event-1") != key_of(ical_uid=None, provider_event_id="event-1")


uids = st.text(min_size=1, max_size=40)
identities = st.tuples(st.sampled_from(["tnt_1", "tnt_2"]), uids, st.none() | instants)


@given(identities, identities)
def test_two_meetings_share_a_key_only_where_they_are_one(
    one: tuple[str, str, datetime | None], other: tuple[str, str, datetime | None]
) -> None:
    keys = [key_of(tenant_id=tenant, ical_uid=uid, original_start=start) for tenant, uid, start in (one, other)]

    assert (keys[0] == keys[1]) == (one == other)


@given(identities)
def test_a_key_is_fit_for_a_workflow_id_and_tells_nothing(identity: tuple[str, str, datetime | None]) -> None:
    tenant, uid, start = identity
    kind, _, opaque = key_of(tenant_id=tenant, ical_uid=uid, original_start=start).partition("_")

    assert kind == "mtg"
    assert len(opaque) == 26
    assert opaque.isalnum()
    assert opaque.islower() or opaque.isdigit()


# Series keys


def test_all_occurrences_share_the_series_key() -> None:
    assert series_key("tnt_1", "abc@google.com", fallback="x") == series_key("tnt_1", "abc@google.com", fallback="y")


@pytest.mark.parametrize("split", ["abc_R20260302@google.com", "abc_R20260302T090000@google.com"])
def test_a_split_on_google_stays_in_its_series(split: str) -> None:
    assert series_key("tnt_1", split, fallback="x") == series_key("tnt_1", "abc@google.com", fallback="x")


@pytest.mark.parametrize(
    "other", ["abc_R2026@google.com", "abc_R20260302", "abc_r20260302@google.com", "abd@google.com"]
)
def test_what_only_looks_like_a_split_is_another_series(other: str) -> None:
    assert series_key("tnt_1", other, fallback="x") != series_key("tnt_1", "abc@google.com", fallback="x")


def test_without_a_uid_the_series_is_what_the_provider_calls_it() -> None:
    assert series_key("tnt_1", None, fallback="x") == series_key("tnt_1", None, fallback="x")
    assert series_key("tnt_1", None, fallback="x") != series_key("tnt_1", None, fallback="y")
    assert series_key("tnt_1", None, fallback="x") != series_key("tnt_1", "x", fallback="x")


def test_tenants_share_no_series() -> None:
    assert series_key("tnt_1", "abc@google.com", fallback="x") != series_key("tnt_2", "abc@google.com", fallback="x")
