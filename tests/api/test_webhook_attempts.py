"""The attempts of a delivery over HTTP, and when they and their answers go."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from meetbot.storage.erasure_rows import delete_calendar_user
from meetbot.storage.tables import WebhookAttempt, WebhookDelivery
from tests.api.conftest import Tenant
from tests.api.test_retention import days_ago, delete


def attempted(tenant: Tenant, data: dict[str, Any], event_type: str = "bot.joined", state: str = "pending") -> str:
    """A delivery with two attempts whose answers repeat what was sent."""
    endpoint = tenant.post("/webhook-endpoints", json={"url": "https://example.com/h"}).json()["id"]
    with tenant.front.database.transaction(tenant.id) as session:
        delivery = WebhookDelivery(
            tenant_id=tenant.id,
            id=f"dlv_{endpoint}",
            endpoint_id=endpoint,
            event_type=event_type,
            data=data,
            state=state,
        )
        session.add(delivery)
        for number in (1, 2):
            session.add(
                WebhookAttempt(
                    tenant_id=tenant.id, delivery_id=delivery.id, number=number, replay=0, at=days_ago(31),
                    milliseconds=84, status=500, error="http_status", answer=f"bad: {data}",
                )
            )  # fmt: skip
    return delivery.id


def answers(tenant: Tenant) -> list[str | None]:
    with tenant.front.database.transaction(tenant.id) as session:
        return list(session.execute(text("select answer from webhook_attempt order by number")).scalars())


def test_attempts_are_read_in_pages(tenant: Tenant) -> None:
    path = f"/webhook-deliveries/{attempted(tenant, {'id': 'bot_1'})}/attempts"
    first = tenant.get(path, params={"limit": 1}).json()
    rest = tenant.get(path, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    rows = first["data"] + rest["data"]
    assert [(row["number"], row["status"], row["milliseconds"]) for row in rows] == [(1, 500, 84), (2, 500, 84)]
    assert rows[0]["answer"] == "bad: {'id': 'bot_1'}"
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(("state", "deleted"), [("pending", {}), ("dead", {"deliveries": 1, "webhook_attempts": 2})])
def test_attempts_go_with_their_delivery_and_not_before(tenant: Tenant, state: str, deleted: dict[str, int]) -> None:
    attempted(tenant, {"id": "bot_1"}, state=state)
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text("update webhook_delivery set created_at = now() - interval '31 days'"))
    assert delete(tenant) == deleted


def test_an_erasure_takes_the_attempts_of_what_told_of_the_user(tenant: Tenant) -> None:
    user = tenant.add_user()
    attempted(tenant, {"id": user.id, "email": user.email}, "calendar_user.connected")
    with tenant.front.database.transaction(tenant.id) as session:
        counts = delete_calendar_user(session, tenant.id, user.id)
    assert (counts["webhook_attempt"], answers(tenant)) == (2, [])


def test_an_erasure_blanks_answers_to_what_still_names_the_user(tenant: Tenant) -> None:
    user = tenant.add_user()
    attempted(tenant, {"id": "bot_1", "meetbot_calendar_user_ids": [user.id]})
    attempted(tenant, {"id": "bot_2"})
    with tenant.front.database.transaction(tenant.id) as session:
        counts = delete_calendar_user(session, tenant.id, user.id)
    assert counts["webhook_attempt.answer"] == 2
    assert sorted(filter(None, answers(tenant))) == ["bad: {'id': 'bot_2'}"] * 2


def test_an_erasure_blanks_answers_to_what_told_of_a_link_that_goes(tenant: Tenant) -> None:
    user = tenant.add_user()
    event = tenant.add_event(user)
    bot = tenant.add_bot(event.meeting_key, event_id=event.id)
    attempted(tenant, {"id": bot.id, "meeting_url": bot.meeting_url})
    with tenant.front.database.transaction(tenant.id) as session:
        delete_calendar_user(session, tenant.id, user.id)
    assert answers(tenant) == [None, None]
