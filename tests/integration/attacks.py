"""A meeting, a stranger's invitation with its UID, and where the bots are: for many tests."""

from __future__ import annotations

from typing import Any

from meetbot.domain.event import Provider
from meetbot.storage.tables import Bot, CalendarEvent
from meetbot.temporal.messages import NextStep, StepKind
from tests.integration.meetings import dispatch
from tests.rig import Rig

OTHER = {Provider.GOOGLE: Provider.MICROSOFT, Provider.MICROSOFT: Provider.GOOGLE}
UID = "7kukuqrfedlm2f9t0f3i5sm2gc@google.com"
LINK = "https://meet.google.com/abc-defg-hij"
ATTACKS: dict[str, dict[str, Any]] = {
    "another link": {"platform": "zoom"},
    "another time": {"starts_in_minutes": 660},
    "both": {"platform": "zoom", "starts_in_minutes": 660},
}
CHANGES: dict[str, dict[str, Any]] = {
    "another link": {"platform": "zoom"},
    "another time": {"shift_minutes": 600},
    "both": {"platform": "zoom", "shift_minutes": 600},
}


class Attack:
    """A meeting that ada's calendar leads, and a stranger's invitation with its UID on bob's."""

    def __init__(self, rig: Rig, provider: Provider) -> None:
        self.rig, self.provider = rig, provider
        self.ada = rig.sandbox.account("ada@acme.test", provider)
        self.bob = rig.sandbox.account("bob@acme.test", provider)
        self.first, self.second = rig.connect(self.ada, provider), rig.connect(self.bob, provider)

    def honest(self, **fields: Any) -> dict[str, Any]:
        return self.rig.sandbox.event(self.ada, uid=UID, **({"meeting_url": LINK} | fields))

    def hostile(self, *, answer: str = "accepted", email: str = "mallory@evil.test", **fields: Any) -> dict[str, Any]:
        organizer = {"email": email, "provider": self.provider}
        return self.rig.sandbox.event(self.bob, uid=UID, organizer=organizer, answer=answer, **fields)

    def hostile_like(self, event: CalendarEvent, **fields: Any) -> dict[str, Any]:
        """The stranger's copy with room and time of this one."""
        return self.hostile(start=str(event.start_at), meeting_url=event.meeting_url, **fields)


def sent(rig: Rig, user: str) -> tuple[str, NextStep]:
    key, step = waiting(rig, user)
    dispatch(rig, key, step)
    return key, rig.bot_activities.reconcile(rig.ref(key))


def waiting(rig: Rig, user: str) -> tuple[str, NextStep]:
    (entry,) = rig.planned(user)
    return entry.meeting_key, rig.bot_activities.reconcile(rig.ref(entry.meeting_key))


def place(bot: Bot) -> tuple[object, ...]:
    return bot.id, bot.state, bot.join_at, bot.meeting_url


WHEN = {"before dispatch": waiting, "after dispatch": sent}
BOT_IS = {"before dispatch": StepKind.WAIT, "after dispatch": StepKind.FOLLOW}
