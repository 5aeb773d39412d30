"""What is kept of each change of a bot: what happened, who did it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BotChange(StrEnum):
    """What happened to a bot. Customers see these values.

    `NOT_ACCEPTED`: the backend was asked and did not take the bot yet. `RECALL_BEGUN`: the backend is told to take it back.
    `RENEWED`: it was taken back and is to be sent again. `REPORTED`: the backend says how far it is. `HANDED_OVER`: it is the
    bot of another meeting in the same room from now on. `SHARING_ENDED`: another meeting's bot, which was shared in its place,
    serves its meeting no longer.
    """

    CREATED = "created"
    RESCHEDULED = "rescheduled"
    ASKED = "asked"
    NOT_ACCEPTED = "not_accepted"
    ACCEPTED = "accepted"
    REPORTED = "reported"
    RECALL_BEGUN = "recall_begun"
    RENEWED = "renewed"
    HANDED_OVER = "handed_over"
    SHARING_ENDED = "sharing_ended"
    ENDED = "ended"


class ChangeSource(StrEnum):
    """Who changed the bot: this service, its backend, or a person."""

    SERVICE = "service"
    BACKEND = "backend"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why and when a bot changes.

    ``code`` is one of our stable codes, ``backend_code`` what the backend called it.
    """

    change: BotChange
    at: datetime
    source: ChangeSource = ChangeSource.SERVICE
    code: str | None = None
    backend_code: str | None = None


MAX_REPEATED = 200
"""A bot's history takes no more changes that leave its state as it was, once it has so many."""
