"""The first steps of many tests: a calendar with a meeting, its bot, and its dispatch."""

from __future__ import annotations

import pytest

from meetbot.bots.reports import apply_report
from meetbot.domain.event import Provider
from meetbot.temporal.messages import DispatchRequest, DispatchResult, NextStep
from tests.rig import Rig

# Marks a test that holds at either provider.
BOTH = pytest.mark.parametrize("provider", list(Provider))


def scheduled(rig: Rig, user: str) -> tuple[str, NextStep]:
    """The one meeting a calendar user wants, with its bot scheduled."""
    (entry,) = rig.planned(user)
    return entry.meeting_key, rig.bot_activities.reconcile(rig.ref(entry.meeting_key))


def dispatch(rig: Rig, meeting_key: str, step: NextStep, *, wait_is_over: bool = False) -> DispatchResult:
    request = DispatchRequest(rig.tenant_id, meeting_key, step.bot_id, step.generation, wait_is_over)
    return rig.dispatch_activity.dispatch(request)


def connected_with_meeting(
    rig: Rig, *, starts_in_minutes: float = 60, **fields: object
) -> tuple[str, dict[str, object]]:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada, starts_in_minutes=starts_in_minutes, **fields)
    return user, event


def dispatched(
    rig: Rig, *, starts_in_minutes: float = 60, **fields: object
) -> tuple[str, dict[str, object], str, NextStep]:
    """A calendar user, the meeting, its key, and the step by which its bot was sent."""
    user, event = connected_with_meeting(rig, starts_in_minutes=starts_in_minutes, **fields)
    key, step = scheduled(rig, user)
    dispatch(rig, key, step)
    return user, event, key, step


def shared_meeting(rig: Rig) -> tuple[str, str, dict[str, object], str, NextStep]:
    """Ada's meeting at Google, to which grace at Microsoft is invited; both want it recorded."""
    ada, grace = rig.sandbox.account("ada@acme.test"), rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    organizer, guest = rig.connect(ada), rig.connect(grace, Provider.MICROSOFT)
    event = rig.sandbox.event(ada, attendees=[grace])
    rig.sync(organizer)
    rig.sync(guest)
    key, step = scheduled(rig, organizer)
    rig.sync(organizer)
    return organizer, guest, event, key, step


def report(rig: Rig, event: str, status: str, *, delivery: str = "dlv_1", **data: object) -> None:
    (job,) = rig.sandbox.jobs()
    document = {
        "deliveryId": delivery,
        "event": event,
        "data": {"id": job["id"], "externalId": job["externalId"], "status": status} | data,
    }
    assert apply_report(rig.database, document, rig.clock()) is not None
