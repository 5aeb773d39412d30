"""Google's events as `Event`s, read for the owner of the calendar."""

from __future__ import annotations

from typing import Any

from meetbot.domain.event import Event
from meetbot.providers.google.events import normalise_google

OWNER = "ann@acme.example"


def normalised(raw: dict[str, Any]) -> Event:
    event = normalise_google("primary", raw, owner_email=OWNER)
    assert event is not None
    return event


def attendee(email: str, answer: str = "accepted", **flags: Any) -> dict[str, Any]:
    return {"email": email, "responseStatus": answer, **flags}
