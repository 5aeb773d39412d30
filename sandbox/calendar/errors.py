"""What can be wrong with a request to read or change calendars."""

from __future__ import annotations


class NotFoundError(LookupError):
    """No such account, calendar, meeting or occurrence."""


class InvalidChangeError(ValueError):
    """The change cannot be made to this meeting."""


class RecurrenceError(ValueError):
    """Recurrence lines that cannot be read or expanded."""
