"""Each calendar that is read has its push channel, and no other has one."""

from __future__ import annotations

import pytest

from meetbot.domain.account_calendar import PRIMARY, CalendarsMode
from meetbot.domain.event import Provider
from meetbot.domain.push import ChannelState, PushState, push_health
from meetbot.storage.push_channels import as_channels
from tests.integration.calendars import ADA, choose, id_of, reading_the_boss, second_calendar, share
from tests.integration.meetings import BOTH
from tests.integration.pushing import Pushing, pushing

__all__ = ["pushing"]

pytestmark = pytest.mark.stack


def reported(pushing: Pushing, user: str) -> list[str]:
    return sorted(row.calendar_id for row in pushing.rig.channels(user) if row.state is ChannelState.ACTIVE)


@BOTH
def test_channels_follow_the_choice_of_calendars(pushing: Pushing, provider: Provider) -> None:
    pushing.rig.sandbox.account(ADA, provider)
    second = id_of(second_calendar(pushing.rig, provider), provider)
    user = pushing.rig.connect(ADA, provider)
    pushing.keep(user)
    assert reported(pushing, user) == sorted((PRIMARY, second))
    choose(pushing.rig, user, CalendarsMode.PRIMARY)
    assert pushing.keep(user)
    assert reported(pushing, user) == [PRIMARY]
    assert len(pushing.at_provider()) == 1
    choose(pushing.rig, user, CalendarsMode.SELECTED, second)
    assert pushing.keep(user)
    assert reported(pushing, user) == [second]
    assert len(pushing.at_provider()) == 1


def test_a_shared_calendar_that_microsoft_does_not_report_on_is_polled(pushing: Pushing) -> None:
    user, _ = reading_the_boss(pushing.rig, Provider.MICROSOFT)
    pushing.keep(user)
    assert reported(pushing, user) == [PRIMARY]
    channels = as_channels(pushing.rig.channels(user))
    assert push_health(channels, now=pushing.rig.clock(), is_on=True).state is PushState.FAILING
    assert pushing.rig.sync(user).wait_seconds == 0


def test_a_calendar_that_turns_free_busy_only_has_no_channel_any_more(pushing: Pushing) -> None:
    user, shared = reading_the_boss(pushing.rig, Provider.GOOGLE)
    pushing.keep(user)
    assert reported(pushing, user) == sorted((PRIMARY, shared))
    share(pushing.rig, "boss@acme.test", role="freeBusyReader")
    assert pushing.keep(user)
    assert reported(pushing, user) == [PRIMARY]
