"""What every bot backend does: create, look up, cancel and report a bot, each only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from meetbot.domain.bot_state import BotState


class Idempotency(StrEnum):
    """The way in which a repeated creation is kept from making a second bot.

    `NATIVE`: the backend answers the existing bot for a known key. `LOOKUP`: we look before we ask again. `NONE`: neither, so
    a creation with an unknown outcome is not repeated.
    """

    NATIVE = "native"
    LOOKUP = "lookup"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class BotRequest:
    """The bot to make: its meeting link, time and display name.

    ``external_id`` names this one dispatch for ever and holds no personal data. ``join_at`` is the meeting's start.
    ``metadata`` is kept by the backend.
    """

    external_id: str
    meeting_url: str
    join_at: datetime
    display_name: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendBot:
    """A bot as its backend describes it. ``document`` is the backend's own JSON, for relaying."""

    id: str
    state: BotState
    failure_code: str | None
    recorded_seconds: int | None
    document: Mapping[str, Any]


class BotBackend(Protocol):
    """The service that runs bots.

    Calls block, but for the asynchronous ones, and are bounded by timeouts. They raise `BackendRefused` for good,
    `BackendUnavailable` for now.
    """

    name: str
    idempotency: Idempotency

    def create(self, request: BotRequest) -> BackendBot:
        """Make the bot, or return the one that was made for the same external id."""
        ...

    async def create_async(self, request: BotRequest) -> BackendBot:
        """Do what `create` does on the event loop, for bots that go out together."""
        ...

    async def warm(self, connections: int) -> None:
        """Prepare for so many calls of `create_async` within some seconds.

        It takes little time. If it fails, they only take longer.
        """
        ...

    def look_up(self, request: BotRequest) -> BackendBot | None:
        """Return the bot of an earlier `create` whose answer was lost, or None if there is none."""
        ...

    def cancel(self, backend_bot_id: str) -> None:
        """Take the bot back, or out of the meeting. One that is gone or done already is no error."""
        ...

    async def progress_async(self, backend_bot_id: str) -> BackendBot:
        """Do what `progress` does on the event loop."""
        ...

    def progress(self, backend_bot_id: str) -> BackendBot:
        """Return the bot as it is now."""
        ...
