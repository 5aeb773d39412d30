"""The end of an attempt that needs an administrator: keep the person waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import structlog

from meetbot.calendars.waiting_users import TurnedAway, turn_away
from meetbot.domain.event import Provider
from meetbot.errors import ProviderError
from meetbot.providers.base import CalendarProvider
from meetbot.storage.database import Database
from meetbot.storage.tables import ConnectAttempt

# The person's browser waits. Without an answer the directory stays unknown.
_LOOK_UP_SECONDS = 3.0
_log = structlog.get_logger(__name__)


class TurningAway(Protocol):
    """What it takes: database, providers, clock (UTC), and where browsers reach the API."""

    @property
    def database(self) -> Database:
        """Return the database."""
        ...

    @property
    def providers(self) -> Mapping[Provider, CalendarProvider]:
        """Return the providers by name."""
        ...

    @property
    def clock(self) -> Callable[[], datetime]:
        """Return what gives the present."""
        ...

    @property
    def public_url(self) -> str:
        """Return where browsers reach the API."""
        ...


def keep_turned_away(context: TurningAway, attempt: ConnectAttempt) -> TurnedAway | None:
    """Keep the person of a refused attempt waiting. None if the attempt was erased meanwhile."""
    directory = directory_of_attempt(context.providers, attempt)
    with context.database.transaction(attempt.tenant_id) as session:
        return turn_away(session, attempt, directory=directory, public_url=context.public_url, now=context.clock())


def directory_of_attempt(providers: Mapping[Provider, CalendarProvider], attempt: ConnectAttempt) -> str | None:
    """Return the directory of the address that was to be connected, None if it is not known.

    The provider's refusal does not name it. Its public metadata do, for the domain of an address.
    """
    if attempt.login_hint is None:
        return None
    try:
        provider = providers[Provider(attempt.provider)]
        return provider.directory_of(attempt.login_hint, timeout_seconds=_LOOK_UP_SECONDS)
    except ProviderError as error:
        _log.info("connect.directory_unknown", provider=attempt.provider, code=error.code)
        return None
