"""Taking a calendar back: the erasure of a calendar user, and its certificate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.problems import COMMON, described, not_found
from meetbot.calendars.waiting_users import farewell
from meetbot.domain.erasure import ErasureState
from meetbot.domain.event_types import WebhookEventType
from meetbot.resources.erasure import ErasureResource, erasure_resource
from meetbot.storage import outbox
from meetbot.storage.erasures import begin_erasure, find_erasure
from meetbot.storage.waiting_erasure import erase_waiting

router = APIRouter(tags=["calendar users"])


class ErasureAccepted(BaseModel):
    """Where the certificate is going to be."""

    erasure_id: str = Field(examples=["era_mzxw6ytboi4dsmrqgezdgnbvgy"])


@router.delete(
    "/calendar/users/{calendar_user_id}",
    status_code=202,
    responses=COMMON | described(404),
    summary="Disconnect a calendar user and erase everything of it",
)
def erase_user(
    calendar_user_id: str,
    caller: Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))],
    services: InjectedServices,
) -> ErasureAccepted:
    """Take the calendar back: from now on every other route with this id answers 404.

    Bots are withdrawn, or handed over if others claim the meeting; the grant is revoked at the provider unless another
    connection needs it; then all rows and the key of the token are gone. Asked again, it is the same erasure.
    """
    with services.database.transaction(caller.tenant_id) as session:
        gone = erase_waiting(session, caller.tenant_id, calendar_user_id, now=services.clock())
        if gone is not None:
            told = farewell(gone.waiting) | {"erasure_id": gone.erasure.id}
            outbox.emit(session, caller.tenant_id, WebhookEventType.CALENDAR_USER_DISCONNECTED, told)
        erasure = begin_erasure(session, caller.tenant_id, calendar_user_id, now=services.clock())
        if erasure is None:
            raise not_found("calendar_user")
        record(session, caller, calendar_user_id)
    if erasure.state is ErasureState.RUNNING:
        # If this fails, a worker finds the erasure within half a minute.
        services.orchestrator.start_erasure(erasure.tenant_id, erasure.id, calendar_user_id)
    return ErasureAccepted(erasure_id=erasure.id)


@router.get("/erasures/{erasure_id}", responses=COMMON | described(404), summary="Get the certificate of an erasure")
def get_erasure(
    erasure_id: str,
    caller: Annotated[Caller, Depends(requires(Scope.CALENDARS_READ))],
    services: InjectedServices,
) -> ErasureResource:
    """Return what was done when, how many rows were deleted, and what could not be done."""
    with services.database.transaction(caller.tenant_id) as session:
        row = find_erasure(session, caller.tenant_id, erasure_id)
    if row is None:
        raise not_found("erasure")
    return erasure_resource(row)
