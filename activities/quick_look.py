"""The second look at a provider, for many bots at once on the event loop.

Nearly always the provider says to the byte what it said at the first look, and that is all. Whatever else it says, the careful
second look finds out, in a thread (`activities.recheck.second_look`).
"""

from __future__ import annotations

import structlog

from activities.recheck import SECOND_LOOK_SECONDS, DueBot, Looked
from activities.services import Services
from meetbot.calendars.listing_diff import fingerprint_of
from meetbot.errors import ProviderError
from meetbot.outbound.exchange import Answer
from meetbot.outbound.failures import OutboundFailed
from meetbot.providers.http import Deadline
from meetbot.storage.calendar_user_context import CalendarUserContext

_MOST_BYTES = 4 << 20
_log = structlog.get_logger(__name__)


async def is_settled(services: Services, due: DueBot, looked: Looked) -> bool:
    """Return whether no careful look is needed.

    The event is as at the first look, or its provider does not answer, which keeps no bot back that was looked at.
    """
    user = due.leader
    if user is None or looked.fingerprint is None or looked.answered is not due.claims[0]:
        return False
    try:
        answer = await _answer(services, user, due)
        said = None if answer is None else services.providers[user.provider].event_in(answer)
    except OutboundFailed:
        return True
    except ProviderError:
        return False
    except Exception as error:
        # The careful look has its own way to deal with faults of ours.
        _log.error("copy.not_read", tenant_id=user.tenant_id, calendar_user_id=user.id, code=type(error).__name__)
        return False
    return said is not None and fingerprint_of(said) == looked.fingerprint


async def _answer(services: Services, user: CalendarUserContext, due: DueBot) -> Answer | None:
    """Ask the provider, if that needs neither a new token nor patience."""
    token = services.tokens.ready(user) if user.is_connected else None
    if token is None:
        return None
    copy = due.claims[0]
    call = services.providers[user.provider].event_call(
        token, calendar_id=copy.calendar_id, provider_event_id=copy.provider_event_id
    )
    return await services.looks.exchange(call, deadline=Deadline(SECOND_LOOK_SECONDS), limit=_MOST_BYTES)
