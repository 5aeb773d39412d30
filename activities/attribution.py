"""Whom the use of a secret is put down to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from temporalio import activity

from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database
from meetbot.storage.secret_uses import OpenedSecret, SecretPurpose, note_secret_use
from meetbot.storage.tables import PendingRevocation


def current_workflow() -> str:
    """Return the id of the workflow whose activity runs in this thread, or ``process``."""
    if not activity.in_activity():
        return "process"
    return activity.info().workflow_id or "process"


def note_token_refresh(database: Database, clock: Callable[[], datetime], user: CalendarUserContext) -> None:
    """Note that a user's refresh token is about to be opened. It is not opened if that fails."""
    opened = OpenedSecret(SecretPurpose.TOKEN_REFRESH, user.id, current_workflow())
    _note(database, clock, user.tenant_id, opened)


def note_revocation(database: Database, clock: Callable[[], datetime], pending: PendingRevocation) -> None:
    """Note that the token kept for a revocation is about to be opened.

    It is not opened if that fails.
    """
    used_by = current_workflow() if activity.in_activity() else f"earlier-grant/{pending.erasure_id}"
    opened = OpenedSecret(SecretPurpose.REVOCATION, pending.calendar_user_id, used_by)
    _note(database, clock, pending.tenant_id, opened)


def note_opening(
    database: Database, clock: Callable[[], datetime], tenant_id: str, purpose: SecretPurpose, subject_id: str
) -> None:
    """Note that a secret is about to be opened. It is not opened if that fails."""
    _note(database, clock, tenant_id, OpenedSecret(purpose, subject_id, current_workflow()))


def _note(database: Database, clock: Callable[[], datetime], tenant_id: str, opened: OpenedSecret) -> None:
    with database.transaction(tenant_id) as session:
        note_secret_use(session, tenant_id, opened, at=clock())
