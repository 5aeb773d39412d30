"""What is kept of each change of an event: which kinds of change it was, and what made it."""

from __future__ import annotations

from enum import StrEnum


class EventChange(StrEnum):
    """What changed of an event. Customers see these values.

    `FIRST_SEEN` and `BOT_LINKED` are read from the event and the bots. `REGROUPED`: the event is of another meeting now.
    """

    FIRST_SEEN = "first_seen"
    MOVED = "moved"
    RELINKED = "relinked"
    RETITLED = "retitled"
    ATTENDEES = "attendees"
    ANSWERED = "answered"
    REGROUPED = "regrouped"
    DECIDED = "decided"
    LEFT_CALENDAR = "left_calendar"
    CAME_BACK = "came_back"
    OVERRIDE_SET = "override_set"
    OVERRIDE_CLEARED = "override_cleared"
    BOT_LINKED = "bot_linked"


class EventSource(StrEnum):
    """What made the change.

    `CALENDAR`: it was read. `RULES`: stored events were decided again. `ACCESS`: it was lost. `BOT`: one was made.
    """

    CALENDAR = "calendar"
    RULES = "rules"
    ACCESS = "access"
    LIMIT = "limit"
    PERSON = "person"
    BOT = "bot"
