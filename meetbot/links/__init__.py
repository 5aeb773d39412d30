"""Find the meeting link of a calendar event: `find_meeting_link`. Pure; see docs/links.md."""

from meetbot.links.finder import find_meeting_link

__all__ = ["find_meeting_link"]
