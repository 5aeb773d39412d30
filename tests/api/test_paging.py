"""Cursors: whatever somebody makes up is refused, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from api.paging import PlaceInstant, PlaceNumber, PlaceText, decode_cursor, encode_cursor, micros_of
from api.routers.bots import BotsQuery
from meetbot.errors import InvalidInput
from tests.api.conftest import Tenant

ROW: TypeAdapter[tuple[datetime, str]] = TypeAdapter(tuple[PlaceInstant, PlaceText])
VERSION: TypeAdapter[tuple[int]] = TypeAdapter(tuple[PlaceNumber])
FORGED_ROWS: list[list[str | int | None]] = [
    [0, "a\u0000"], [0, 1], ["x", "a"], [2**62, "a"], [-(2**62), "a"], [None, None], [0], [0, "a", "b"], [0, "a" * 501], [],
]  # fmt: skip


def test_a_cursor_brings_back_its_place_to_the_microsecond() -> None:
    instant = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
    cursor = encode_cursor([micros_of(instant), "bot_1"], asked="bots")
    assert decode_cursor(cursor, asked="bots", shape=ROW) == (instant, "bot_1")


@pytest.mark.parametrize("place", FORGED_ROWS)
def test_a_place_of_another_shape_is_refused(place: list[str | int | None]) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_cursor(encode_cursor(place, asked="bots"), asked="bots", shape=ROW)
    assert refused.value.code == "invalid_cursor"


@pytest.mark.parametrize("place", [["x"], [None], [2**62], [-1], ["1"]])
def test_a_version_that_none_can_be_is_refused(place: list[str | int | None]) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(encode_cursor(place, asked="versions"), asked="versions", shape=VERSION)


@pytest.mark.parametrize("place", FORGED_ROWS)
def test_a_forged_cursor_is_an_answer_of_400(tenant: Tenant, place: list[str | int | None]) -> None:
    cursor = encode_cursor(place, asked=f"bots {tenant.id} {BotsQuery().question()}")
    answer = tenant.get("/bots", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
