"""The limit of bots a day, from the calendar to the claims and the webhook."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.storage.overrides import set_override
from tests.rig import Rig

pytestmark = pytest.mark.stack


def decisions(rig: Rig, user: str) -> list[tuple[str, str]]:
    return [(event.outcome, event.reason) for event in rig.events(user)]


RECORDED, LIMITED = ("record", "rule_matched"), ("skip", "daily_limit")


def test_what_goes_beyond_the_limit_gets_no_bot_and_is_told_once(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.set_tenant(max_bots_per_day=2)
    noon = (rig.clock() + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    for hour in range(4):
        starts_in = noon + timedelta(hours=hour) - rig.clock()
        rig.sandbox.event(ada, starts_in_minutes=round(starts_in.total_seconds() / 60))
    assert len(rig.planned(user)) == 2
    assert decisions(rig, user) == [RECORDED, RECORDED, LIMITED, LIMITED]
    rig.sync(user)
    assert decisions(rig, user) == [RECORDED, RECORDED, LIMITED, LIMITED]

    (told,) = (data for name, data in rig.webhook_events() if name == "bot.limit_reached")
    assert (told["calendar_user_id"], told["max_bots_per_day"], told["skipped"]) == (user, 2, 2)

    last = rig.events(user)[3]
    with rig.database.transaction(rig.tenant_id) as session:
        set_override(session, last, scope="occurrence", recording="record", set_by="a person", now=rig.clock())
    assert len(rig.planned(user)) == 2
    assert decisions(rig, user) == [RECORDED, LIMITED, LIMITED, ("record", "override_record")]

    assert [name for name, _ in rig.webhook_events()].count("bot.limit_reached") == 1
    rig.set_tenant(max_bots_per_day=50)
    assert len(rig.planned(user)) == 4
    assert decisions(rig, user) == [RECORDED, RECORDED, RECORDED, ("record", "override_record")]
