"""A bot that overlapping meetings in one room share, as customers see it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from meetbot.storage.tables import Bot, CalendarEvent, CalendarUser, Meeting
from tests.api.conftest import Tenant


class Shared(NamedTuple):
    """Two meetings with their users; the first's bot serves the second's too."""

    users: tuple[CalendarUser, CalendarUser]
    events: tuple[CalendarEvent, CalendarEvent]
    sent: Bot
    own: Bot


@pytest.fixture
def shared(tenant: Tenant) -> Shared:
    users = tenant.add_user(customer_user_id="a"), tenant.add_user(customer_user_id="b")
    first, other = tenant.add_event(users[0]), tenant.add_event(users[1])
    tenant.add_claim(users[0], first)
    tenant.add_claim(users[1], other)
    sent = tenant.add_bot(first.meeting_key, state="recording", room="room_1")
    own = tenant.add_bot(other.meeting_key, state="cancelled", outcome="shared", shared_bot_id=sent.id, room="room_1")
    return Shared(users, (first, other), sent, own)


def suppressed(tenant: Tenant, key: str) -> bool:
    with tenant.front.database.transaction(tenant.id) as session:
        row = session.get(Meeting, (tenant.id, key))
        return row is not None and row.suppressed_at is not None


def test_a_shared_bot_names_the_users_of_both_meetings(tenant: Tenant, shared: Shared) -> None:
    shown = tenant.get(f"/bots/{shared.sent.id}").json()
    assert shown["claims"] == sorted(user.id for user in shared.users)
    assert shown["shared_bot_id"] is None


def test_a_bot_that_was_not_sent_names_the_one_that_is_shared(tenant: Tenant, shared: Shared) -> None:
    shown = tenant.get(f"/bots/{shared.own.id}").json()
    assert (shown["state"], shown["outcome"], shown["shared_bot_id"]) == ("cancelled", "shared", shared.sent.id)


def test_the_events_of_both_meetings_show_the_shared_bot(tenant: Tenant, shared: Shared) -> None:
    for user, event in zip(shared.users, shared.events, strict=True):
        (listed,) = tenant.get(f"/calendar/users/{user.id}/events").json()["data"]
        answer = tenant.get(f"/calendar/users/{user.id}/events/{event.id}").json()
        assert listed["bot_id"] == answer["bot_id"] == answer["bot"]["id"] == shared.sent.id
        assert answer["bot"]["claims"] == sorted(user.id for user in shared.users)


def test_a_shared_bot_is_listed_for_the_other_meeting_and_its_user(tenant: Tenant, shared: Shared) -> None:
    for query in ({"calendar_user_id": shared.users[1].id}, {"meeting_key": shared.events[1].meeting_key}):
        listed = tenant.get("/bots", params=query).json()["data"]
        assert {row["id"] for row in listed} == {shared.sent.id, shared.own.id}


def test_cancelling_a_shared_bot_ends_it_for_all_its_meetings(tenant: Tenant, shared: Shared) -> None:
    assert tenant.post(f"/bots/{shared.sent.id}/cancel").status_code == 202
    keys = sorted(event.meeting_key for event in shared.events)
    assert tenant.front.orchestrator.cancelled == [(tenant.id, key) for key in keys]
    assert all(suppressed(tenant, key) for key in keys)


def test_cancelling_the_bot_that_was_not_sent_is_about_its_own_meeting(tenant: Tenant, shared: Shared) -> None:
    first, other = shared.events
    assert tenant.post(f"/bots/{shared.own.id}/cancel").status_code == 202
    assert tenant.front.orchestrator.cancelled == [(tenant.id, other.meeting_key)]
    assert suppressed(tenant, other.meeting_key)
    assert not suppressed(tenant, first.meeting_key)
