"""Two meetings in one room, for tests of the bot that they share."""

from __future__ import annotations

from dataclasses import dataclass

from meetbot.bots.reports import apply_report
from meetbot.domain.event import Provider
from meetbot.storage.tables import Bot
from meetbot.temporal.messages import DispatchResult, NextStep
from tests.integration.meetings import dispatch
from tests.rig import Rig

ROOM = "https://us06web.zoom.us/j/81234567890"
_OVER = ("cancelled", "completed", "failed")


@dataclass(frozen=True, slots=True)
class Booking:
    """One meeting on one calendar."""

    rig: Rig
    user: str
    event: dict[str, object]
    key: str

    def reconcile(self) -> NextStep:
        return self.rig.bot_activities.reconcile(self.rig.ref(self.key))

    def dispatch(self) -> DispatchResult:
        return dispatch(self.rig, self.key, self.reconcile())

    def recall(self) -> NextStep:
        return self.rig.recall_activity.recall(self.rig.ref(self.key))

    def sync(self) -> None:
        self.rig.sync(self.user)

    def bots(self) -> list[Bot]:
        return [bot for bot in self.rig.bots() if bot.meeting_key == self.key]


def book(
    rig: Rig, name: str, provider: Provider = Provider.GOOGLE, *, starts: float = 60, room: str = ROOM, **fields: object
) -> Booking:
    """A person with a meeting of their own, whose bot is scheduled."""
    account = rig.sandbox.account(f"{name}@acme.test", provider)
    user = rig.connect(account, provider)
    event = rig.sandbox.event(
        account,
        title=f"{name}'s meeting",
        starts_in_minutes=starts,
        meeting_url=room,
        **{"duration_minutes": 30} | fields,
    )
    (entry,) = rig.planned(user)
    booking = Booking(rig, user, event, entry.meeting_key)
    booking.reconcile()
    rig.sync(user)
    return booking


def live_jobs(rig: Rig) -> list[dict[str, object]]:
    return [job for job in rig.sandbox.jobs() if job["status"] not in _OVER]


def reported(rig: Rig, job: dict[str, object], status: str, event: str = "job.status_changed", **data: object) -> None:
    """The backend tells of one of its bots."""
    document = {
        "deliveryId": f"dlv_{job['id']}_{status}",
        "event": event,
        "data": {"id": job["id"], "externalId": job["externalId"], "status": status} | data,
    }
    assert apply_report(rig.database, document, rig.clock()) is not None
