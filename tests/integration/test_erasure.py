"""Erasing a calendar user: what is gone, what is handed over, and what the certificate says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.erasure import ErasureState, ErasureStep, Revocation
from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.storage.tables import (
    BotClaim,
    CalendarEvent,
    CalendarUser,
    ErasureLedger,
    PendingRevocation,
)
from meetbot.temporal.messages import DispatchOutcome, DispatchRequest, ErasureRef, StepKind
from tests.integration.erasing import begin, certificate, erase, withdraw
from tests.integration.meetings import connected_with_meeting, dispatch, dispatched, scheduled, shared_meeting
from tests.rig import Rig

pytestmark = pytest.mark.stack

BOTH = pytest.mark.parametrize("provider", list(Provider))


def everything_stored(rig: Rig) -> str:
    """All rows of the tenant in one text, but for the certificate and the ledger."""
    with rig.read() as session:
        tables = session.execute(
            text(
                "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace "
                "and relname not in ('alembic_version', 'erasure', 'erasure_ledger')"
            )
        )
        return "\n".join(
            str(session.execute(text(f"select coalesce(jsonb_agg(t)::text, '') from {row[0]} t")).scalar_one())
            for row in tables.all()
        )


@BOTH
def test_an_erased_user_leaves_no_row_but_the_certificate(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sandbox.event(ada, title="Secret plan")
    scheduled(rig, user)
    subject = rig.calendar_user(user).subject
    done = erase(rig, user)
    assert set(done.steps) == set(ErasureStep)
    assert done.counts["calendar_user"] == done.counts["calendar_event"] == done.counts["rule_set"] == 1
    assert done.finished_at is not None
    stored = everything_stored(rig)
    for trace in (subject, "Secret plan", "ada@acme.test", "meet.google.com"):
        assert trace not in stored.replace("customer-ada@acme.test", "")
    assert rig.events(user) == []


def test_googles_grant_is_revoked_at_the_provider(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    done = erase(rig, user)
    assert (done.revocation, done.state) == (Revocation.REVOKED, ErasureState.COMPLETED)
    assert rig.sandbox.counts("/google/revoke") == 1


def test_microsofts_grant_cannot_be_revoked_and_the_certificate_says_so(rig: Rig) -> None:
    user = rig.connect(rig.sandbox.account("grace@acme.test", Provider.MICROSOFT), Provider.MICROSOFT)
    done = erase(rig, user)
    assert (done.revocation, done.state) == (Revocation.UNSUPPORTED, ErasureState.COMPLETED_WITH_EXCEPTIONS)


def test_a_grant_that_another_connection_needs_is_not_revoked(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    with rig.database.transaction(rig.tenant_id) as session:
        row = session.get_one(CalendarUser, (rig.tenant_id, user)).model_dump(exclude={"token_digest"})
    sealed = {"wrapped_key": "vault:v1:other", "refresh_ciphertext": b"other"}
    with rig.database.transaction("ten_other") as session:
        session.add(CalendarUser(**(row | sealed | {"id": "cu_other", "tenant_id": "ten_other"})))
    assert erase(rig, user).revocation is Revocation.IN_USE
    assert rig.sandbox.counts("/google/revoke") == 0


def test_a_scheduled_bot_that_nobody_else_claims_is_cancelled(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    erase(rig, user)
    (bot,) = rig.bots()
    assert (bot.state, bot.meeting_url) == ("cancelled", "")


def test_a_bot_that_a_colleague_claims_too_is_handed_over(rig: Rig) -> None:
    organizer, guest, _, key, _ = shared_meeting(rig)
    erase(rig, organizer)
    (bot,) = rig.bots()
    assert bot.state == "scheduled"
    assert bot.meeting_url != ""
    assert bot.event_id == rig.events(guest)[0].id
    with rig.read() as session:
        assert [claim.calendar_user_id for claim in session.exec(select(BotClaim))] == [guest]
    assert rig.bot_activities.reconcile(rig.ref(key)).kind is StepKind.WAIT


def test_a_bot_that_was_sent_is_recalled(rig: Rig) -> None:
    user, _, key, _ = dispatched(rig)
    ref = begin(rig, user)
    assert withdraw(rig, ref) == (key,)
    step = rig.bot_activities.reconcile(rig.ref(key))
    assert step.kind is StepKind.RECALL
    rig.erasing_activities.delete_rows(ref)
    rig.recall_activity.recall(rig.ref(key))
    (job,) = rig.sandbox.jobs()
    assert rig.bots()[0].state == "cancelled", job


def test_the_tenant_is_told_by_its_own_id_and_without_an_address(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    done = erase(rig, user)
    kind, data = rig.webhook_events()[-1]
    assert kind == "calendar_user.disconnected"
    assert data == {
        "id": user,
        "customer_user_id": "customer-ada@acme.test",
        "provider": "google",
        "state": "disconnected",
        "erasure_id": done.id,
        "sequence": data["sequence"],
    }


def test_erasing_twice_is_one_erasure_and_tells_once(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    first, second = erase(rig, user), erase(rig, user)
    assert (first.id, first.counts, first.finished_at) == (second.id, second.counts, second.finished_at)
    assert [kind for kind, _ in rig.webhook_events()].count("calendar_user.disconnected") == 1


def test_every_step_may_be_repeated(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    scheduled(rig, user)
    ref, steps = begin(rig, user), rig.erasing_activities
    for _ in range(2):
        withdraw(rig, ref)
    for step in (steps.stop_push, steps.revoke_grant, steps.delete_rows, steps.finish):
        step(ref)
        step(ref)
    done = certificate(rig, ref)
    assert (done.state, done.counts["calendar_event"]) == (ErasureState.COMPLETED, 1)


def test_a_sync_under_way_writes_nothing_after_the_erasure_began(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    user, _ = connected_with_meeting(rig)
    listed = rig.sync_activities._list

    def erased_meanwhile(*arguments: object) -> object:
        answer = listed(*arguments)  # type: ignore[arg-type]
        erase(rig, user)
        return answer

    monkeypatch.setattr(rig.sync_activities, "_list", erased_meanwhile)
    result = rig.sync(user)
    assert (result.state, result.plan) == (CalendarUserStatus.GONE, ())
    with rig.read() as session:
        assert session.exec(select(CalendarEvent)).all() == []
        assert session.exec(select(BotClaim)).all() == []


def test_a_dispatch_under_way_sends_no_bot_once_the_erasure_began(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=2)
    key, step = scheduled(rig, user)
    sleep_until = rig.clock.sleep_until
    refs: list[ErasureRef] = []

    def erased_while_it_waits(instant: object) -> None:
        if not refs:
            refs.append(begin(rig, user))
            withdraw(rig, refs[0])
            rig.erasing_activities.delete_rows(refs[0])
        sleep_until(instant)  # type: ignore[arg-type]

    rig.dispatch_activity._sleep_until = erased_while_it_waits
    request = DispatchRequest(rig.tenant_id, key, step.bot_id, step.generation)
    assert rig.dispatch_activity.dispatch(request).outcome is DispatchOutcome.CHANGED
    assert rig.sandbox.jobs() == []
    assert rig.bots()[0].state == "cancelled"
    assert rig.events(user) == []


def test_a_dispatch_after_the_mark_sends_no_bot(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig, starts_in_minutes=2)
    key, step = scheduled(rig, user)
    begin(rig, user)
    assert dispatch(rig, key, step).outcome is DispatchOutcome.CHANGED
    assert rig.sandbox.jobs() == []


def test_a_dead_token_is_no_obstacle(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    rig.sandbox.post("/control/accounts/ada@acme.test/revoke", {})
    done = erase(rig, user)
    assert (done.revocation, done.state) == (Revocation.ALREADY_ENDED, ErasureState.COMPLETED)


def test_a_token_that_does_not_open_is_an_exception_and_no_obstacle(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(CalendarUser, (rig.tenant_id, user)).wrapped_key = "vault:v9:AAAA"
    done = erase(rig, user)
    assert (done.revocation, done.state) == (Revocation.UNREADABLE, ErasureState.COMPLETED_WITH_EXCEPTIONS)
    assert done.counts["calendar_user"] == 1


def test_while_the_provider_is_down_the_rows_go_and_the_token_waits_alone(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    ref, steps = begin(rig, user), rig.erasing_activities
    withdraw(rig, ref)
    rig.sandbox.fault(path="/google/revoke", status=503)
    with pytest.raises(RetryLater):
        steps.revoke_grant(ref)
    steps.delete_rows(ref)
    assert certificate(rig, ref).counts["calendar_user"] == 1
    rig.sandbox.clear_faults()
    steps.revoke_grant(ref)
    steps.finish(ref)
    assert certificate(rig, ref).revocation is Revocation.REVOKED
    with rig.read() as session:
        assert session.exec(select(PendingRevocation)).all() == []


def test_a_provider_that_never_answers_is_given_up_and_the_token_goes(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    ref = begin(rig, user)
    withdraw(rig, ref)
    rig.erasing_activities.delete_rows(ref)
    rig.erasing_activities.finish(ref)
    done = certificate(rig, ref)
    assert (done.revocation, done.state) == (Revocation.GIVEN_UP, ErasureState.COMPLETED_WITH_EXCEPTIONS)
    with rig.read() as session:
        assert session.exec(select(PendingRevocation)).all() == []


def test_a_refresh_under_way_brings_no_token_back(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    ref = begin(rig, user)
    withdraw(rig, ref)
    with rig.read() as session:
        row = session.get_one(CalendarUser, (rig.tenant_id, user))
        assert (row.wrapped_key, bytes(row.refresh_ciphertext)) == ("", b"")
        assert row.token_version == session.exec(select(PendingRevocation)).one().token_version + 1


def test_the_ledger_holds_ids_and_instants(rig: Rig) -> None:
    user, _ = connected_with_meeting(rig)
    erase(rig, user)
    with rig.read() as session:
        (entry,) = session.exec(select(ErasureLedger))
    assert (entry.tenant_id, entry.subject_id, entry.kind) == (rig.tenant_id, user, "calendar_user")
    assert rig.clock() - entry.erased_at < timedelta(minutes=5)
