"""Usage: what counts, for whom, and what it costs to the second."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from meetbot.domain.usage import amount_of, spreadsheet_text
from tests.api.conftest import Tenant, in_hours


def bot(tenant: Tenant, seconds: int | None = 3600, key: str = "mtg_1", **changes: Any) -> Any:
    start = changes.pop("join_at", in_hours(-5))
    values = {"state": "completed", "dispatched_at": start, "recorded_seconds": seconds} | changes
    return tenant.add_bot(key, join_at=start, end_at=start + timedelta(hours=1), **values)


def usage(tenant: Tenant, **query: Any) -> Any:
    answer = tenant.get("/usage", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("seconds", "amount"),
    [(0, "0.00"), (1, "0.000083"), (12, "0.001"), (3600, "0.30"), (3661, "0.305083"), (36_000_000, "3000.00")],
)
def test_an_amount_is_counted_by_the_second(seconds: int, amount: str) -> None:
    assert amount_of(seconds) == amount


def test_many_small_recordings_lose_nothing_by_rounding(tenant: Tenant) -> None:
    for day in range(4):
        bot(tenant, 1, join_at=in_hours(-24 * (day + 1)), key=f"mtg_{day}")
    found = usage(tenant)
    assert [row["amount"] for row in found["data"]] == ["0.000083"] * 4
    assert Decimal(found["total"]["amount"]) == Decimal("0.000333")
    assert (found["currency"], found["price_per_hour"]) == ("USD", "0.30")


def test_what_was_sent_or_should_have_been_counts_by_the_day_of_its_start(tenant: Tenant) -> None:
    day = in_hours(-48)
    bot(tenant, 60, "a", join_at=day)
    bot(tenant, None, "b", join_at=day, state="failed")
    bot(tenant, None, "c", join_at=day, state="missed", dispatched_at=None)
    bot(tenant, None, "d", join_at=day, state="cancelled", dispatched_at=None)
    bot(tenant, None, "e", join_at=in_hours(2), state="scheduled", dispatched_at=None)
    (row,) = usage(tenant, to=in_hours(24).isoformat())["data"]
    assert row == {
        "key": day.date().isoformat(), "bots": 3, "completed": 1, "failed": 1, "missed": 1, "recorded_seconds": 60,
        "amount": "0.005",
    }  # fmt: skip


def test_a_bot_that_several_users_claim_counts_once(tenant: Tenant) -> None:
    first, second = tenant.add_user(customer_user_id="one"), tenant.add_user(customer_user_id="two")
    mine, theirs = (tenant.add_event(user, provider_event_id=user.id, meeting_key="mtg_1") for user in (first, second))
    tenant.add_claim(first, mine)
    tenant.add_claim(second, theirs)
    bot(tenant, 60, event_id=theirs.id)
    bot(tenant, 30, key="mtg_gone", event_id="evt_gone")
    by_user = usage(tenant, group_by="calendar_user")
    assert [(row["key"], row["recorded_seconds"]) for row in by_user["data"]] == [(second.id, 60), (None, 30)]
    by_customer = usage(tenant, group_by="customer_user_id")
    assert [(row["key"], row["bots"]) for row in by_customer["data"]] == [("two", 1), (None, 1)]
    assert by_user["total"] == by_customer["total"] == usage(tenant)["total"]


def test_csv_holds_no_formula(tenant: Tenant) -> None:
    user = tenant.add_user(customer_user_id='=HYPERLINK("http://x","y"),1')
    event = tenant.add_event(user)
    tenant.add_claim(user, event)
    bot(tenant, 3600, event.meeting_key, event_id=event.id)
    answer = tenant.get("/usage", params={"group_by": "customer_user_id"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["key"], row["amount"], row["currency"]) == ('\'=HYPERLINK("http://x","y"),1', "0.30", "USD")


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"])
def test_a_text_that_begins_like_a_formula_is_quoted(value: str) -> None:
    assert spreadsheet_text(value) == f"'{value}"
    assert spreadsheet_text("user-1") == "user-1"


def test_no_usage_of_another_tenant_is_shown(tenant: Tenant, new_tenant: Callable[[], Tenant]) -> None:
    bot(new_tenant())
    assert usage(tenant)["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "group_by=tenant",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "to=0001-01-01T00:00:00Z",
        "from=1",
        "since=2026-01-01T00:00:00Z",
    ],
)
def test_a_question_that_cannot_be_read_is_refused(tenant: Tenant, query: str) -> None:
    answer = tenant.get(f"/usage?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
