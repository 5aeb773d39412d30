"""A calendar user that waits for an administrator, as customers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.waiting import WaitingDetail
from meetbot.resources.calendar_user import CalendarUserResource, PushResource
from meetbot.storage.tables import WaitingUser


@dataclass(frozen=True, slots=True)
class WaitingLinks:
    """The links that are shown: where the user goes on, and what to forward."""

    connect_url: str
    admin_consent_url: str | None = None


_NEXT_STEP_OF_ADMIN = (
    "Have an administrator of the user's organisation agree: forward the admin_consent_url, if there is one."
)
_NEXT_STEP_OF_USER = "Have the user open the connect_url."


def waiting_user_resource(
    row: WaitingUser, *, links: WaitingLinks, default_mode: CalendarsMode
) -> CalendarUserResource:
    """Return the resource of a row. Nothing was read and nothing is known of the account yet.

    ``default_mode`` is the tenant's.
    """
    approved = row.approved_at is not None
    return CalendarUserResource.model_validate(
        {
            "id": row.id,
            "customer_user_id": row.customer_user_id,
            "provider": row.provider,
            "email": row.login_hint or "",
            "state": CalendarUserStatus.CONNECTING.value,
            "state_detail": str(WaitingDetail.ADMIN_APPROVED if approved else WaitingDetail.AWAITING_ADMIN),
            "next_step": _NEXT_STEP_OF_USER if approved else _NEXT_STEP_OF_ADMIN,
            "error_code": None,
            "attributes": row.attributes or {},
            "calendars_mode": default_mode,
            "last_synced_at": None,
            "sync_lag_seconds": None,
            "push": PushResource(),
            "scopes": [],
            "connect_url": links.connect_url,
            "admin_consent_url": None if approved else links.admin_consent_url,
            "expires_at": row.expires_at,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


def waiting_user_document(row: WaitingUser, *, links: WaitingLinks, default_mode: CalendarsMode) -> dict[str, Any]:
    """Return the ``data`` of a webhook about this calendar user."""
    shown = waiting_user_resource(row, links=links, default_mode=default_mode)
    return shown.document() | {"sequence": row.sequence}
