"""The tenant's never-record list: what is not recorded, whatever the rules say. Pure.

It is asked before any rule, and only an override to record beats it. Everybody whom the event names counts: the organiser, and
all attendees, those who declined too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meetbot.domain.addresses import parse_address, with_parents
from meetbot.domain.event import LONGEST_TITLE, Event
from meetbot.rules.text_search import fold


@dataclass(frozen=True, slots=True)
class NeverRecord:
    """Domains with all below them, addresses, and marks that may stand anywhere in a title.

    Compared as rules compare them: letter case, ``+tag`` and composed accents make no difference.
    """

    domains: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    title_markers: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether the list keeps nothing out."""
        return not (self.domains or self.emails or self.title_markers)

    def names(self, event: Event) -> bool:
        """Return whether the event has one of these people or marks, or may have.

        In doubt it has: if guests are hidden or the title was cut.
        """
        if self.is_empty:
            return False
        prepared = _prepared(self)
        if prepared.marks and (len(event.title) == LONGEST_TITLE or _has_mark(event.title, prepared)):
            return True
        if not (prepared.domains or prepared.identities):
            return False
        return not event.attendees_complete or any(_is_named(email, prepared) for email in _addresses(event))


NOTHING_LISTED: Final = NeverRecord()
"""The list of a tenant that has put none."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    domains: frozenset[str]
    identities: frozenset[str]
    marks: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def _prepared(listed: NeverRecord) -> _Prepared:
    return _Prepared(
        domains=frozenset(parse_address(f"x@{domain}")[1] for domain in listed.domains),
        identities=frozenset(parse_address(email)[0] for email in listed.emails),
        marks=tuple(fold(mark) for mark in listed.title_markers),
    )


def _has_mark(title: str, prepared: _Prepared) -> bool:
    folded = fold(title)
    return any(mark in folded for mark in prepared.marks)


def _addresses(event: Event) -> Iterator[str]:
    people = event.attendees if event.organizer is None else (*event.attendees, event.organizer)
    return (person.email for person in people if person.email)


def _is_named(email: str, prepared: _Prepared) -> bool:
    identity, domain = parse_address(email)
    return identity in prepared.identities or (domain != "" and not prepared.domains.isdisjoint(with_parents(domain)))
