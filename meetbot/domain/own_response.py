"""Which entries of an event are the calendar user's own, and how they responded.

The rules are the same for every way in which an event comes in.

``self`` on a Google event marks the calendar on which the copy stands, not the account that reads it. On the account's own
calendar the mark is the calendar user, under whichever address they were invited. On a secondary calendar it is the
calendar, which is no person. On a colleague's calendar it is the colleague, who responds only for themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from meetbot.domain.addresses import is_calendar_domain, parse_address
from meetbot.domain.event import Attendee, Response

_WEIGHTIEST_FIRST: Final = (Response.DECLINED, Response.ACCEPTED, Response.TENTATIVE, Response.NEEDS_ACTION)


class CalendarOwner(NamedTuple):
    """The calendar user, to be compared with the entries of an event on one of their calendars.

    ``identities`` are those of all addresses of the account, as addresses are compared; ``initials`` their first letters.
    ``domain`` is that of the account's first address. ``is_marked``: whether ``self`` on this calendar is the calendar user.
    Addresses asked about are trimmed.
    """

    identities: frozenset[str]
    initials: frozenset[str]
    domain: str
    is_marked: bool

    @classmethod
    def of(cls, owner_email: str, calendar_id: str, aliases: Collection[str] = ()) -> CalendarOwner:
        """Return the owner of a calendar; ``aliases`` are the account's other addresses."""
        identity, owner_domain = parse_address(owner_email)
        identities = frozenset((identity, *(parse_address(alias)[0] for alias in aliases if alias.strip())))
        calendar, domain = parse_address(calendar_id)
        # Only an account's calendar is named by a person's address; ``primary`` and opaque ids are the owner's.
        is_marked = not domain or calendar in identities or is_calendar_domain(domain)
        return cls(identities, frozenset(one[:1] for one in identities), owner_domain, is_marked)

    def is_listed_as(self, email: str | None, *, marked: bool) -> bool:
        """Return whether an attendee's entry is the owner's."""
        if not email:
            return marked and self.is_marked
        if not marked and email.isascii() and email[0].lower() not in self.initials:
            return False  # nearly all attendees, without a closer look
        identity, domain = parse_address(email)
        return identity in self.identities or (marked and self.is_marked and not is_calendar_domain(domain))

    def organizes_as(self, email: str | None, *, marked: bool) -> bool:
        """Return whether an organiser's entry is the owner's, or that of their secondary calendar."""
        return (marked and self.is_marked) or bool(email and parse_address(email)[0] in self.identities)


def weightiest(responses: Collection[Response | None]) -> Response | None:
    """Return the response that counts of several by one person.

    Declined before accepted, accepted before tentative, tentative before none.
    """
    return next((response for response in _WEIGHTIEST_FIRST if response in responses), None)


def own_response(attendees: Sequence[Attendee], *, has_calendar_declined: Callable[[], bool]) -> Response | None:
    """Return the response of those attendees who are the owner; None if the owner is not listed.

    ``has_calendar_declined``: whether the entry of the calendar itself, or of the colleague who owns it, declined.
    If the owner is not listed, the event is there only because the calendar was invited. Then the calendar's response
    counts, but only to keep a bot away: what the calendar accepted, the owner has not accepted.
    """
    responses = [attendee.response for attendee in attendees if attendee.is_self]
    if responses:
        return weightiest(responses)
    return Response.DECLINED if has_calendar_declined() else None
