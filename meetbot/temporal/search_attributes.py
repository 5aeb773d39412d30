"""The custom search attributes by which operators find workflows in the Temporal UI."""

from __future__ import annotations

from typing import Final

from temporalio.common import SearchAttributeKey

TENANT_ID: Final = SearchAttributeKey.for_keyword("TenantId")
CALENDAR_USER_ID: Final = SearchAttributeKey.for_keyword("CalendarUserId")
CALENDAR_PROVIDER: Final = SearchAttributeKey.for_keyword("CalendarProvider")
MEETBOT_STATE: Final = SearchAttributeKey.for_keyword("MeetbotState")

SEARCH_ATTRIBUTES: Final = (TENANT_ID, CALENDAR_USER_ID, CALENDAR_PROVIDER, MEETBOT_STATE)
