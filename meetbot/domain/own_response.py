"""Which entries of an event are the calendar user's own, and what they answered: the same for every way an event comes in.

``self`` on a Google event marks the calendar on which the copy stands, not the account that reads it. On people's own
calendar that is they themselves, under whichever of their addresses they were invited. On a secondary calendar it is the
calendar, which is nobody; on a colleague's it is the colleague, who answers for nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from meetbot.domain.addresses import is_calendar_domain, parse_address
from meetbot.domain.event import Attendee, Response

_WEIGHTIEST_FIRST: Final = (Response.DECLINED, Response.ACCEPTED, Response.TENTATIVE, Response.NEEDS_ACTION)


class CalendarOwner(NamedTuple):
    """``identity`` is the owner's, as addresses are compared. ``is_marked``: ``self`` on this calendar is the owner.
    Addresses asked about are trimmed."""

    identity: str
    is_marked: bool

    @classmethod
    def of(cls, owner_email: str, calendar_id: str) -> CalendarOwner:
        identity = parse_address(owner_email)[0]
        calendar, domain = parse_address(calendar_id)
        # Only an account's calendar is named by a person's address; ``primary`` and opaque ids are the owner's.
        return cls(identity, not domain or calendar == identity or is_calendar_domain(domain))

    def is_listed_as(self, email: str | None, *, marked: bool) -> bool:
        """Whether an attendee's entry is the owner's."""
        if not email:
            return marked and self.is_marked
        if not marked and email.isascii() and email[0].lower() != self.identity[:1]:
            return False  # nearly everybody, without a closer look
        identity, domain = parse_address(email)
        return identity == self.identity or (marked and self.is_marked and not is_calendar_domain(domain))

    def organizes_as(self, email: str | None, *, marked: bool) -> bool:
        """Whether an organiser's entry is the owner's: what their secondary calendar organises, they do."""
        return (marked and self.is_marked) or bool(email and parse_address(email)[0] == self.identity)


def weightiest(answers: Collection[Response | None]) -> Response | None:
    """The one that counts of several answers of one person: declined once is declined, accepted once is accepted."""
    return next((answer for answer in _WEIGHTIEST_FIRST if answer in answers), None)


def own_answer(attendees: Sequence[Attendee], *, has_calendar_declined: Callable[[], bool]) -> Response | None:
    """The answer of those attendees who are the owner; None where the owner is not listed.

    ``has_calendar_declined``: whether the entry of the calendar itself, or of the colleague whose calendar it is, did.
    Where the owner is not listed, the event is there only because the calendar was invited: then it speaks for the owner,
    but only to keep a bot away. What the calendar accepted, the owner has not accepted.
    """
    answers = [attendee.response for attendee in attendees if attendee.is_self]
    if answers:
        return weightiest(answers)
    return Response.DECLINED if has_calendar_declined() else None
