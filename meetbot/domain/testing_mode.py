"""How a grant ends that was given to a Google client in testing. Pure.

Source: developers.google.com/identity/protocols/oauth2#expiration: seven days after the consent. Google's answer does not say
so: it is ``invalid_grant``, as after a revocation.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from meetbot.domain.event import Provider

_LIFE: Final = timedelta(days=7)
# Clocks differ; it does not end before.
_EARLY: Final = timedelta(minutes=10)
# The last access token lives an hour longer, and a calendar may not be asked at once.
_NOTICED_WITHIN: Final = timedelta(hours=3)

LONGEST_LIFE: Final = _LIFE + _NOTICED_WITHIN
"""No grant to a client in testing stands for longer, as far as we see."""


def ended_as_in_testing(provider: Provider, *, consented_at: datetime | None, ended_at: datetime) -> bool:
    """Return whether a grant that has ended lived as long as one to a client in testing."""
    if provider is not Provider.GOOGLE or consented_at is None:
        return False
    return _LIFE - _EARLY <= ended_at - consented_at <= LONGEST_LIFE
