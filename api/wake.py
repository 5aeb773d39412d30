"""Telling workflows that what they decide by has changed."""

from __future__ import annotations

from api.dependencies import Services
from meetbot.storage.calendar_users import page_of_refs
from meetbot.temporal.messages import CalendarUserSignal

_PAGE = 100
_MAX_PAGES = 10


def rules_changed_for_all(services: Services, tenant_id: str) -> None:
    """Signal the tenant's calendar users, a thousand at most: the others decide again at their next sync anyway."""
    after_id = ""
    for _ in range(_MAX_PAGES):
        with services.database.transaction(tenant_id) as session:
            page = page_of_refs(session, tenant_id, after_id=after_id, limit=_PAGE)
        if not page or not services.orchestrator.signal_calendar_users(page, CalendarUserSignal.RULES_CHANGED):
            return
        after_id = page[-1].id
