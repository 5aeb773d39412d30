"""Erasures as rows: beginning one, what it still has to do, and its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, select

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.erasure import ErasedKind, ErasureState, ErasureStep, Revocation, final_state
from meetbot.domain.grants import grant_scope
from meetbot.domain.ids import new_id
from meetbot.storage.erasure_ledger import LedgerEntry, record_erased
from meetbot.storage.push_channels import channels_of
from meetbot.storage.tables import CalendarUser, Erasure, PendingRevocation


def find_erasure(session: Session, tenant_id: str, erasure_id: str) -> Erasure | None:
    """Return the erasure, None if there is none."""
    return session.get(Erasure, (tenant_id, erasure_id))


def lock_erasure(session: Session, tenant_id: str, erasure_id: str) -> Erasure | None:
    """Return the erasure as it is now, locked until the transaction ends; None if there is none."""
    return session.get(Erasure, (tenant_id, erasure_id), with_for_update=True, populate_existing=True)


def erasure_of(session: Session, tenant_id: str, calendar_user_id: str) -> Erasure | None:
    """Return the erasure of a calendar user, None if there was none."""
    return session.exec(
        select(Erasure).where(Erasure.tenant_id == tenant_id, Erasure.calendar_user_id == calendar_user_id)
    ).one_or_none()


def begin_erasure(session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime) -> Erasure | None:
    """Disconnect a calendar user and return its erasure, the same one at every call.

    None if there is no such user.

    When the transaction commits, no route knows the user any more and nothing is written for it.
    """
    user = session.get(CalendarUser, (tenant_id, calendar_user_id), with_for_update=True)
    known = erasure_of(session, tenant_id, calendar_user_id)
    if known is not None or user is None:
        return known
    erasure = Erasure(
        tenant_id=tenant_id,
        id=new_id("era"),
        calendar_user_id=calendar_user_id,
        provider=user.provider,
        state=ErasureState.RUNNING,
        revocation=Revocation.PENDING,
        steps={str(ErasureStep.DISCONNECTED): now.isoformat()},
        requested_at=now,
    )
    session.add(erasure)
    user.state, user.state_changed_at = CalendarUserStatus.DISCONNECTING, now
    session.add(user)
    session.flush()
    # Now and not at the end: a restore may fall between the two.
    record_erased(session, LedgerEntry(tenant_id, calendar_user_id, ErasedKind.CALENDAR_USER, now))
    return erasure


_KEEP_TOKEN = text(
    """
    insert into pending_revocation (tenant_id, erasure_id, calendar_user_id, provider, subject, token_version, oauth_client_id,
                                    kek_version, wrapped_key, refresh_ciphertext)
    select u.tenant_id, e.id, u.id, u.provider, u.subject, u.sealed_version, u.oauth_client_id, u.kek_version,
           u.wrapped_key, u.refresh_ciphertext
      from erasure e join calendar_user u on u.tenant_id = e.tenant_id and u.id = e.calendar_user_id
     where e.tenant_id = :tenant_id and e.id = :erasure_id and e.revocation = 'pending' and u.wrapped_key <> ''
       for update of u
    on conflict (tenant_id, erasure_id) do nothing
    """
)
# The version grows: a refresh that is under way finds nothing to replace.
_FORGET_TOKEN = text(
    """
    update calendar_user u
       set wrapped_key = '', refresh_ciphertext = '', token_version = u.token_version + 1
      from erasure e
     where e.tenant_id = :tenant_id and e.id = :erasure_id and e.tenant_id = u.tenant_id and e.calendar_user_id = u.id
       and u.state = 'disconnecting' and u.wrapped_key <> ''
    """
)


def keep_token_for_revocation(session: Session, tenant_id: str, erasure_id: str) -> None:
    """Move the refresh token into a row of its own.

    Only the revocation of its grant finds it there.
    """
    bounds = {"tenant_id": tenant_id, "erasure_id": erasure_id}
    session.execute(_KEEP_TOKEN, bounds)
    session.execute(_FORGET_TOKEN, bounds)


def note_step(session: Session, tenant_id: str, erasure_id: str, step: ErasureStep, *, now: datetime) -> None:
    """Note when a step was done first."""
    erasure = lock_erasure(session, tenant_id, erasure_id)
    if erasure is not None and step not in erasure.steps:
        erasure.steps = erasure.steps | {str(step): now.isoformat()}
        session.add(erasure)
        session.flush()


_UNCLOSED = "push_channel.unclosed"


def note_unclosed(session: Session, tenant_id: str, erasure_id: str, count: int | None) -> None:
    """Note how many push channels are left to end by themselves.

    None stands for all that are still known to the provider.
    """
    erasure = lock_erasure(session, tenant_id, erasure_id)
    if erasure is None or ErasureStep.PUSH_STOPPED in erasure.steps:
        return
    if count is None:
        rows = channels_of(session, tenant_id, [erasure.calendar_user_id])
        count = sum(row.external_id is not None or row.resource_id is not None for row in rows)
    if count:
        erasure.counts = erasure.counts | {_UNCLOSED: count}
        session.add(erasure)
        session.flush()


def find_pending(session: Session, tenant_id: str, erasure_id: str) -> PendingRevocation | None:
    """Return the token whose grant is still to be revoked, None if that is settled."""
    return session.get(PendingRevocation, (tenant_id, erasure_id))


def settle_revocation(
    session: Session, tenant_id: str, erasure_id: str, revocation: Revocation, *, now: datetime
) -> None:
    """Note how the revocation ended, and delete the token that was kept for it."""
    erasure = lock_erasure(session, tenant_id, erasure_id)
    if erasure is None or erasure.revocation is not Revocation.PENDING:
        return
    pending = find_pending(session, tenant_id, erasure_id)
    if pending is not None:
        session.delete(pending)
    erasure.revocation = revocation
    erasure.steps = erasure.steps | {str(ErasureStep.GRANT_SETTLED): now.isoformat()}
    session.add(erasure)
    session.flush()


def finish_erasure(session: Session, tenant_id: str, erasure_id: str, *, now: datetime) -> None:
    """Close the certificate."""
    erasure = lock_erasure(session, tenant_id, erasure_id)
    if erasure is None or erasure.state is not ErasureState.RUNNING:
        return
    erasure.state, erasure.finished_at = final_state(erasure.revocation), now
    erasure.steps = erasure.steps | {str(ErasureStep.FINISHED): now.isoformat()}
    session.add(erasure)
    session.flush()


_CONNECTIONS = text(
    """
    select distinct oauth_client_id from calendar_user
     where provider = :provider and subject = :subject and state <> 'disconnecting'
    """
)


def is_connected_anywhere(
    session: Session, provider: str, subject: str, oauth_client_id: str | None, *, ours: str | None
) -> bool:
    """Return whether a live connection of this account needs its grant to this client.

    ``oauth_client_id`` None is our client, whose id is ``ours``. Call it in `Database.subject_lookup`.
    """
    needed = session.execute(_CONNECTIONS, {"provider": provider, "subject": subject}).scalars()
    ended = grant_scope(provider, oauth_client_id or ours or "")
    return any(grant_scope(provider, client_id or ours or "") == ended for client_id in needed)


@dataclass(frozen=True, slots=True)
class RunningErasure:
    """An erasure that is not finished yet, as its workflow is started for it."""

    tenant_id: str
    id: str
    calendar_user_id: str


_RUNNING = text(
    "select tenant_id, id, calendar_user_id from erasure where state = 'running' order by requested_at limit :most"
)


def running_erasures(session: Session, *, most: int) -> list[RunningErasure]:
    """Return the erasures that are not finished, the oldest first. Call it in `Database.relay`."""
    return [RunningErasure(*row) for row in session.execute(_RUNNING, {"most": most})]


_MEETINGS = text(
    """
    select meeting_key from bot_claim
     where tenant_id = :tenant_id and calendar_user_id = :id and meeting_key > :after
    union
    select e.meeting_key from calendar_event e join bot b on b.tenant_id = e.tenant_id and b.meeting_key = e.meeting_key
     where e.tenant_id = :tenant_id and e.calendar_user_id = :id and e.meeting_key > :after
       and b.state in ('scheduled', 'dispatching', 'dispatched', 'joining', 'in_call', 'recording', 'finalizing')
     order by 1 limit :most
    """
)


def meetings_to_release(session: Session, tenant_id: str, calendar_user_id: str, *, after: str, most: int) -> list[str]:
    """Return a page of the meetings that the erasure withdraws from.

    Those are what the user claims, and what has a live bot and stands in the user's calendar.
    """
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id, "after": after, "most": most}
    return [row[0] for row in session.execute(_MEETINGS, bounds)]
