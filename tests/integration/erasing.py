"""Erasing a calendar user step by step, as its workflow does."""

from __future__ import annotations

from meetbot.storage.erasures import begin_erasure
from meetbot.storage.tables import Erasure
from meetbot.temporal.messages import ErasureRef, WithdrawRequest
from tests.rig import Rig


def begin(rig: Rig, user: str) -> ErasureRef:
    with rig.database.transaction(rig.tenant_id) as session:
        erasure = begin_erasure(session, rig.tenant_id, user, now=rig.clock())
    assert erasure is not None
    return ErasureRef(rig.tenant_id, erasure.id)


def withdraw(rig: Rig, ref: ErasureRef) -> tuple[str, ...]:
    return rig.erasing_activities.withdraw_bots(WithdrawRequest(ref.tenant_id, ref.erasure_id)).meeting_keys


def erase(rig: Rig, user: str) -> Erasure:
    """Take all steps."""
    ref, steps = begin(rig, user), rig.erasing_activities
    withdraw(rig, ref)
    steps.stop_push(ref)
    steps.revoke_grant(ref)
    steps.delete_rows(ref)
    steps.finish(ref)
    return certificate(rig, ref)


def certificate(rig: Rig, ref: ErasureRef) -> Erasure:
    with rig.read() as session:
        return session.get_one(Erasure, (ref.tenant_id, ref.erasure_id))
