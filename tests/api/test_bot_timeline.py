"""A bot's timeline over HTTP, how long it is kept, and that it goes with the tenant."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from meetbot.domain.bot_history import BotChange, Cause, ChangeSource
from meetbot.domain.bot_state import BotState
from meetbot.storage.bot_transitions import note_change
from meetbot.storage.bots import move_bot
from meetbot.storage.tables import Bot
from tests.api.conftest import Tenant
from tests.api.test_retention import days_ago, delete


def with_history(tenant: Tenant) -> Bot:
    """A bot that was asked for two seconds late and taken."""
    row = tenant.add_bot("mtg_1")
    with tenant.front.database.transaction(tenant.id) as session:
        bot = session.merge(row)
        note_change(bot, None, Cause(BotChange.CREATED, bot.dispatch_at - timedelta(hours=1)))
        move_bot(bot, BotState.DISPATCHING, Cause(BotChange.ASKED, bot.dispatch_at))
        at = bot.dispatch_at + timedelta(seconds=2)
        move_bot(bot, BotState.DISPATCHED, Cause(BotChange.ACCEPTED, at, ChangeSource.BACKEND))
    return bot


def test_a_timeline_is_read_in_pages_from_the_beginning(tenant: Tenant) -> None:
    path = f"/bots/{with_history(tenant).id}/timeline"
    first = tenant.get(path, params={"limit": 2}).json()
    rest = tenant.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    rows = first["data"] + rest["data"]
    assert [(row["change"], row["from_state"], row["to_state"]) for row in rows] == [
        ("created", None, "scheduled"),
        ("asked", "scheduled", "dispatching"),
        ("accepted", "dispatching", "dispatched"),
    ]
    assert [row["late_seconds"] for row in rows] == [None, None, 2.0]
    assert rest["next_cursor"] is None


def test_a_bot_without_history_has_an_empty_timeline(tenant: Tenant) -> None:
    bot = tenant.add_bot("mtg_1")
    assert tenant.get(f"/bots/{bot.id}/timeline").json() == {"data": [], "next_cursor": None}


def test_a_cursor_of_another_bot_is_refused(tenant: Tenant) -> None:
    cursor = tenant.get(f"/bots/{with_history(tenant).id}/timeline", params={"limit": 1}).json()["next_cursor"]
    other = tenant.add_bot("mtg_2")
    answer = tenant.get(f"/bots/{other.id}/timeline", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_a_timeline_goes_with_its_bot_and_not_before(tenant: Tenant) -> None:
    bot = with_history(tenant)
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(text("update bot_transition set at = now() - interval '400 days'"))
    assert delete(tenant) == {}
    with tenant.front.database.transaction(tenant.id) as session:
        values = {"old": days_ago(400), "id": bot.id}
        session.execute(
            text("update bot set state = 'completed', end_at = :old, updated_at = :old where id = :id"), values
        )
    assert delete(tenant) == {"bots": 1, "bot_transitions": 3}
