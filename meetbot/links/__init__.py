"""From a provider's event to the link a guest bot opens: `find_meeting_link`. See docs/links.md."""

from meetbot.links.finder import find_meeting_link

__all__ = ["find_meeting_link"]
