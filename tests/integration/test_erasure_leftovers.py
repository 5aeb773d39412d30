"""What an erasure must not leave behind, and what must not come back after it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from meetbot.domain.erasure import ErasureState, Revocation
from meetbot.errors import BackendUnavailable
from meetbot.storage.tables import PendingRevocation, WebhookDelivery
from meetbot.temporal.messages import DispatchOutcome
from tests.integration.erasing import begin, certificate, erase, withdraw
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, report, scheduled
from tests.rig import Rig

pytestmark = pytest.mark.stack

LINK = "meet.google.com"


def told(rig: Rig) -> str:
    """All that webhooks tell, in one text."""
    with rig.read() as session:
        return "\n".join(str(row.data) for row in session.exec(select(WebhookDelivery)))


def in_database(rig: Rig, statement: str, **values: Any) -> None:
    with rig.database.transaction(rig.tenant_id) as session:
        session.execute(text(statement), values)


def test_a_bot_whose_answer_was_lost_is_found_and_recalled_by_its_link(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=2)
    key, step = scheduled(rig, user)
    rig.sandbox.fault(path="/backend/api/v1/jobs", when="after", drop=True)
    with pytest.raises(BackendUnavailable):
        dispatch(rig, key, step)
    rig.sandbox.clear_faults()
    ref = begin(rig, user)
    withdraw(rig, ref)
    rig.erasing_activities.delete_rows(ref)
    with pytest.raises(BackendUnavailable, match="bot_unanswered"):
        rig.erasing_activities.finish(ref)
    rig.recall_activity.recall(rig.ref(key))
    (job,) = rig.sandbox.jobs()
    assert job["status"] == "cancelled"
    rig.erasing_activities.finish(ref)
    done = certificate(rig, ref)
    assert (rig.bots()[0].meeting_url, done.counts["bot.meeting_url"]) == ("", 1)
    assert done.state is not ErasureState.RUNNING
    assert LINK not in told(rig)


def test_nothing_that_webhooks_still_tell_holds_the_link(rig: Rig) -> None:
    user, _, key, _ = dispatched(rig)
    (job,) = rig.sandbox.jobs()
    report(rig, "job.status_changed", "joining", meetingUrl=job["meetingUrl"])
    ref = begin(rig, user)
    withdraw(rig, ref)
    rig.recall_activity.recall(rig.ref(key))
    assert LINK in told(rig)
    rig.erasing_activities.delete_rows(ref)
    rig.erasing_activities.finish(ref)
    assert LINK not in told(rig)


def test_a_late_report_of_the_backend_brings_no_link_back(rig: Rig) -> None:
    user, _, key, _ = dispatched(rig)
    (job,) = rig.sandbox.jobs()
    erase(rig, user)
    rig.recall_activity.recall(rig.ref(key))
    report(rig, "job.status_changed", "joining", meetingUrl=job["meetingUrl"])
    kinds = [kind for kind, _ in rig.webhook_events()]
    assert "job.status_changed" in kinds
    assert LINK not in told(rig)


def test_the_link_of_a_meeting_that_no_calendar_holds_any_more_goes_too(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    in_database(rig, "delete from bot_claim")
    in_database(rig, "delete from calendar_event")
    erase(rig, user)
    assert [bot.meeting_url for bot in rig.bots()] == [""]


def test_a_missing_key_is_an_exception_and_no_obstacle(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    rig.vault.destroy_tenant_key(rig.tenant_id)
    done = erase(rig, user)
    assert (done.revocation, done.state) == (Revocation.UNREADABLE, ErasureState.COMPLETED_WITH_EXCEPTIONS)
    with rig.read() as session:
        assert session.exec(select(PendingRevocation)).all() == []


def test_a_dispatch_that_comes_after_the_erasure_sends_no_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=2)
    key, step = scheduled(rig, user)
    erase(rig, user)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    assert rig.sandbox.jobs() == []
