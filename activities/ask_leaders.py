"""Ask the calendars whose copies lead what they say now, when other copies disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from activities.read_copy import Verdict, read_copy_again
from activities.services import Services
from meetbot.domain.leadership import Copy
from meetbot.providers.http import Deadline
from meetbot.storage.bots import ClaimCopy

_MOST_ASKED = 25
_SECONDS_EACH = 5.0
# A sync that asks many calendars that hang must still end in time.
_SECONDS_IN_ALL = 20.0
_TOO_SHORT_SECONDS = 0.05


def ask_leaders(
    services: Services, tenant_id: str, contradicted: Sequence[Copy], claims: Mapping[str, ClaimCopy]
) -> tuple[str, ...]:
    """Store what changed of the leading copies; return the calendar users of those that did.

    ``claims`` are by event id. Leaders beyond the first twenty-five, and those that do not answer in five seconds, count as
    saying what they said last.
    """
    deadline = Deadline(_SECONDS_IN_ALL)
    changed = []
    for leader in contradicted[:_MOST_ASKED]:
        seconds = min(deadline.remaining(), _SECONDS_EACH)
        if seconds <= _TOO_SHORT_SECONDS:
            break
        verdict = read_copy_again(services, tenant_id, claims[leader.event_id], seconds=seconds)
        if verdict is Verdict.CHANGED:
            changed.append(leader.calendar_user_id)
    return tuple(sorted(set(changed)))
