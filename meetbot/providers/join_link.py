"""The meeting link of a provider's event, fit to store."""

from __future__ import annotations

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links import find_meeting_link
from meetbot.providers.base import RawEvent
from meetbot.providers.text import exact

_LONGEST_URL = 8192


def storable_link(provider: Provider, raw: RawEvent) -> MeetingLink | None:
    """The link, or None where there is none that could be stored exactly as it must be opened."""
    link = find_meeting_link(provider, raw)
    if link is None or exact(link.url, _LONGEST_URL) is None:
        return None
    optional = (link.meeting_id, link.passcode)
    if any(text is not None and text != "" and exact(text, _LONGEST_URL) is None for text in optional):
        return None
    return link
