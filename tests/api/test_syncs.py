"""The syncs of a calendar user over HTTP, and how long they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meetbot.domain.sync_run import SyncStart, SyncTrigger, ended
from meetbot.storage.calendar_user_state import mark_synced
from meetbot.storage.tables import CalendarUser
from tests.api.conftest import Tenant
from tests.api.test_retention import delete


def synced(tenant: Tenant, user: CalendarUser, at: datetime, *, changed: int) -> None:
    run = ended(SyncStart(SyncTrigger.POLL, at, 3), at + timedelta(milliseconds=250), changed=changed)
    with tenant.front.database.transaction(tenant.id) as session:
        mark_synced(session, tenant.id, user.id, policy_digest="p", at=at, run=run)


def test_syncs_are_read_in_pages_the_newest_first(tenant: Tenant) -> None:
    user, now = tenant.add_user(), datetime.now(UTC)
    for hours, changed in ((4, 0), (3, 2), (2, 0), (1, 0)):
        synced(tenant, user, now - timedelta(hours=hours), changed=changed)
    path = f"/calendar/users/{user.id}/syncs"
    first = tenant.get(path, params={"limit": 3}).json()
    rest = tenant.get(path, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    rows = first["data"] + rest["data"]
    assert [(row["result"], row["runs"], row["milliseconds"]) for row in rows] == [
        ("unchanged", 1, 250), ("unchanged", 1, 250), ("changed", 1, 250), ("unchanged", 1, 250),
    ]  # fmt: skip
    (loud,) = tenant.get(path, params={"quiet": False}).json()["data"]
    assert (loud["changed"], loud["removed"], loud["seen"], loud["trigger"]) == (2, 0, 3, "poll")


def test_syncs_are_kept_for_a_week(tenant: Tenant) -> None:
    user, now = tenant.add_user(), datetime.now(UTC)
    synced(tenant, user, now - timedelta(days=8), changed=1)
    synced(tenant, user, now - timedelta(days=6), changed=1)
    assert delete(tenant) == {"sync_runs": 1}
