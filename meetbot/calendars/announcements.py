"""What a tenant is told about its calendar users, as webhooks in the outbox."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from meetbot.calendars.connect_flow import reconnect_url
from meetbot.domain.event_types import WebhookEventType
from meetbot.resources.calendar_user import calendar_user_document
from meetbot.storage import outbox
from meetbot.storage.account_calendars import default_mode
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.daily_limits import begin_notice
from meetbot.storage.tables import CalendarUser
from meetbot.storage.watermarks import current_watermark


def announce_changes(session: Session, user: CalendarUserContext) -> None:
    """Tell the tenant that events of this calendar changed, and since which watermark."""
    outbox.emit(
        session,
        user.tenant_id,
        WebhookEventType.CALENDAR_EVENTS_CHANGED,
        {"calendar_user_id": user.id, "watermark": current_watermark(session)},
    )


def announce_limit(session: Session, user: CalendarUserContext, skipped: int, *, now: datetime) -> None:
    """Tell the tenant, once a day, that the user's bots of a day are used up."""
    notice = begin_notice(session, user.tenant_id, user.id, now=now)
    if notice is None:
        return
    data = {
        "calendar_user_id": user.id,
        "customer_user_id": notice.customer_user_id,
        "max_bots_per_day": user.max_bots_per_day,
        "skipped": skipped,
        "sequence": notice.sequence,
    }
    outbox.emit(session, user.tenant_id, WebhookEventType.BOT_LIMIT_REACHED, data)


def announce_lost_access(session: Session, user: CalendarUserContext, *, public_url: str, now: datetime) -> None:
    """Tell the tenant that the user has to reconnect, with the link to do so."""
    row = session.get_one(CalendarUser, (user.tenant_id, user.id), populate_existing=True)
    url = reconnect_url(public_url, row.tenant_id, row.id, row.token_digest)
    data = calendar_user_document(row, now=now, default_mode=default_mode(session, user.tenant_id), reconnect_url=url)
    outbox.emit(session, user.tenant_id, WebhookEventType.CALENDAR_USER_NEEDS_RECONNECT, data)
