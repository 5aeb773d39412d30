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
from meetbot.storage.calendar_user_state import next_sequence
from meetbot.storage.daily_limits import begin_notice
from meetbot.storage.lost_access import events_at_risk
from meetbot.storage.tables import CalendarUser
from meetbot.storage.watermarks import current_watermark

_MOST_AT_RISK = 20


def announce_changes(session: Session, user: CalendarUserContext) -> None:
    """Tell the tenant that events of this calendar changed, and since which watermark.

    The ``sequence`` is the calendar user's, so that of two such messages the later one is known.
    """
    data = {
        "calendar_user_id": user.id,
        "watermark": current_watermark(session),
        "sequence": next_sequence(session, user.tenant_id, user.id),
    }
    outbox.emit(session, user.tenant_id, WebhookEventType.CALENDAR_EVENTS_CHANGED, data)


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
    """Tell the tenant that the user has to reconnect, by which link, and what is at risk."""
    row = session.get_one(CalendarUser, (user.tenant_id, user.id), populate_existing=True)
    url = reconnect_url(public_url, row.tenant_id, row.id, row.token_digest)
    at_risk = events_at_risk(session, row.tenant_id, row.id, now=now, most=_MOST_AT_RISK)
    mode = default_mode(session, user.tenant_id)
    data = calendar_user_document(row, now=now, default_mode=mode, reconnect_url=url) | {
        "at_risk": [{"event_id": event.event_id, "start": event.start} for event in at_risk]
    }
    outbox.emit(session, user.tenant_id, WebhookEventType.CALENDAR_USER_NEEDS_RECONNECT, data)
