"""Asking for a directory's approval: the link to forward to its administrator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.connect.authorize import check_tenants_redirect, consent_client
from api.dependencies import InjectedServices
from api.idempotency import Creation
from api.problems import COMMON, Problem, described
from api.schemas import Body
from meetbot.calendars.connect_flow import MAX_REDIRECT_URL
from meetbot.calendars.kept_links import LIFETIME, new_link_key
from meetbot.calendars.waiting_users import admin_consent_url
from meetbot.domain.event import Provider
from meetbot.errors import Fault
from meetbot.providers.microsoft.directories import NO_DIRECTORIES
from meetbot.storage.admin_consents import NewAdminConsent, add_admin_consent

router = APIRouter(tags=["connect"])


class AdminConsentRequest(Body):
    """Whose approval to ask for."""

    redirect_url: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=MAX_REDIRECT_URL,
                description="Where the administrator's browser goes at the end, with `status=granted&directory=…` or "
                "`status=error&error=…`. https, and under the tenant's `redirect_origins` if it has any.",
                examples=["https://app.example.com/it/approved"],
            ),
        ]
        | None
    ) = None
    directory: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = (
        Field(
            default=None,
            description="The directory (tenant) to approve for: its id, or one of its domains. Without it, that of whoever "
            "opens the link.",
            examples=["4f1d2f0e-0000-4000-8000-000000000000"],
        )
    )


class AdminConsentAnswer(BaseModel):
    """The address to forward to an administrator."""

    admin_consent_url: str = Field(
        description="Forward it to the organisation's IT. It leads to Microsoft's admin consent page, and is used up when an "
        "administrator has approved by it."
    )
    expires_at: datetime


@router.post(
    "/calendar/admin-consent/microsoft",
    status_code=201,
    response_model=AdminConsentAnswer,
    responses=COMMON | described(409),
    summary="Ask a Microsoft directory's administrator for approval",
)
def ask_for_admin_consent(
    caller: Annotated[Caller, Depends(requires(Scope.CALENDARS_WRITE))],
    services: InjectedServices,
    creation: Creation,
    body: AdminConsentRequest | None = None,
) -> Response:
    """Return a URL of ours that is good for thirty days and may be opened in any browser.

    It asks for your own OAuth app if you have one, else for ours. After the approval `admin_consent.granted` is sent, and
    `calendar_user.admin_approved` for each calendar user that waited for it.
    """
    wanted = body or AdminConsentRequest()
    directory = wanted.directory.lower() if wanted.directory is not None else None
    if directory in NO_DIRECTORIES:
        message = "this names no single directory: leave it out"
        raise Problem(
            422,
            "invalid_input",
            f"directory: {message}",
            faults=(Fault("directory", "invalid_directory", message),),
        )

    def create(session: Session) -> AdminConsentAnswer:
        consent_client(session, services, caller.tenant_id, Provider.MICROSOFT)
        check_tenants_redirect(session, services, caller.tenant_id, wanted.redirect_url)
        new = NewAdminConsent(Provider.MICROSOFT, new_link_key(), LIFETIME, directory, wanted.redirect_url)
        row = add_admin_consent(session, caller.tenant_id, new, now=services.clock())
        record(session, caller, row.id)
        url = admin_consent_url(row, services.settings.public_url)
        return AdminConsentAnswer(admin_consent_url=url, expires_at=row.expires_at)

    return creation.answer(201, caller, create)
