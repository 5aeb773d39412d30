"""Find the one meeting link of an event that a guest bot can open.

From a provider's event to the link: `fields` says where to look, `text` and `html` make each field readable,
`candidates` cuts out what may be addresses, `lookup` unwraps and matches each of them, and the best one is chosen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from meetbot.domain.event import MeetingLink, Provider
from meetbot.links.candidates import Variant, candidates
from meetbot.links.fields import Field, FieldKind, link_fields
from meetbot.links.html import html_to_text, looks_like_html
from meetbot.links.lookup import Lookup
from meetbot.links.matching import JoinLink
from meetbot.links.passcodes import mentions_passcode, passcode_in_text
from meetbot.links.text import READ_WHOLE, readable_parts, repair, unescape
from meetbot.links.url_spans import has_other_scheme

# Limits for one event; far more than any invitation holds.
_MAX_CHARACTERS = 100_000
_MAX_CANDIDATES = 700
_MAX_VARIANTS = 700
_MAX_LINKS = 200


def find_meeting_link(provider: Provider, raw: Mapping[str, Any]) -> MeetingLink | None:
    """Return the link to join, or None if the event holds none.

    `raw` is an event resource as Google Calendar v3 or Microsoft Graph v1.0 sends it; its values may be of any type.
    The first join link in the order of `link_fields` names the meeting. A later link to the same meeting replaces it
    if it carries more of what a guest needs. Never raises, and takes bounded time.
    """
    if not isinstance(raw, Mapping):
        return None
    best: JoinLink | None = None
    link: MeetingLink | None = None
    mentions: list[str] = []
    meetings: set[tuple[str, ...]] = set()
    lookup = Lookup()
    for found, field, text in islice(_join_links(provider, raw, lookup), _MAX_LINKS):
        meetings.add(found.key)
        if best is None or _is_fuller(found, best):
            best, link = found, _meeting_link(found, field, link)
        if best.is_complete:
            break
        if best.passcode_in_text and found.key == best.key and text not in mentions[-1:]:
            mentions.append(text)
    if best and link and best.passcode_in_text and not link.passcode:
        texts = [*mentions, *_texts_with_passcodes(provider, raw, lookup)]
        is_only = len(meetings) == 1 and not best.is_complete
        return replace(link, passcode=_passcode(link, texts, is_only)) if lookup.is_complete else link
    return link


def _join_links(provider: Provider, raw: Mapping[str, Any], lookup: Lookup) -> Iterator[tuple[JoinLink, Field, str]]:
    """The join links of an event, each with its field and the readable text that it stands in."""
    budget = iter(range(_MAX_VARIANTS))
    places = (
        (field, text, variants)
        for field, text in _readable(link_fields(provider, raw), lookup)
        for variants in _candidates(field, text, lookup)
    )
    for field, text, variants in islice(places, _MAX_CANDIDATES):
        link = _best_variant((variant for variant, _ in zip(variants, budget, strict=False)), lookup)
        if link:
            yield link, field, text


def _best_variant(variants: Iterator[Variant], lookup: Lookup) -> JoinLink | None:
    """The join link of a candidate, with as many of the following lines as complete it."""
    best: JoinLink | None = None
    for variant in variants:
        link = _join_link(variant, lookup)
        if link and (best is None or _completes(link, best, variant.is_cut)):
            best = link
    return best


def _join_link(variant: Variant, lookup: Lookup) -> JoinLink | None:
    return next((link for reading in variant.readings if (link := lookup.find(reading).link)), None)


def _completes(longer: JoinLink, link: JoinLink, is_cut: bool) -> bool:
    """Return whether the longer text is the whole link.

    A link that is complete is not made longer by the next line.
    """
    if longer.well_formed_count != link.well_formed_count:
        return longer.well_formed_count > link.well_formed_count
    if is_cut:
        return True
    return longer.parameter_count > link.parameter_count and link.passcode in (None, longer.passcode)


def _readable(places: Iterator[Field], lookup: Lookup) -> Iterator[tuple[Field, str]]:
    """The parts of the fields' text that may hold a link, made readable."""
    left = _MAX_CHARACTERS
    for field in places:
        for part in readable_parts(field.text, lookup):
            if len(part) <= left:
                left -= len(part)
                yield field, _plain(field, part, lookup)


def _plain(field: Field, text: str, lookup: Lookup) -> str:
    text = repair(text)
    if field.kind is not FieldKind.ADDRESS and (field.kind is FieldKind.HTML or looks_like_html(text)):
        text = html_to_text(text, lookup)
    return unescape(text)


def _candidates(field: Field, text: str, lookup: Lookup) -> Iterator[Iterator[Variant]]:
    if field.kind is FieldKind.ADDRESS:
        if has_other_scheme(text):
            return
        yield iter([Variant((text.strip(),))])
        text = unescape(html_to_text(text, lookup)) if looks_like_html(text) else text
    yield from candidates(text)


def _is_fuller(link: JoinLink, best: JoinLink) -> bool:
    return link.key == best.key and _fullness(link) > _fullness(best)


def _fullness(link: JoinLink) -> tuple[int, bool, int]:
    return link.well_formed_count, link.passcode is not None, link.parameter_count


def _meeting_link(link: JoinLink, field: Field, shorter: MeetingLink | None) -> MeetingLink:
    """The answer for a join link.

    A passcode that the field states beside it counts if no link carries one.
    """
    stated = field.passcode if field.passcode != link.meeting_id else None
    return MeetingLink(
        platform=link.platform,
        url=link.url,
        meeting_id=link.meeting_id,
        passcode=link.passcode or stated or (shorter.passcode if shorter else None),
        source=field.source,
    )


def _texts_with_passcodes(provider: Provider, raw: Mapping[str, Any], lookup: Lookup) -> Iterator[str]:
    """Return the texts that state a passcode in words.

    The link of its meeting may stand in another field.
    """
    left = _MAX_CHARACTERS
    for field in link_fields(provider, raw):
        is_read = field.kind is not FieldKind.ADDRESS and len(field.text) <= min(left, READ_WHOLE)
        if is_read and mentions_passcode(field.text):
            left -= len(field.text)
            yield _plain(field, field.text, lookup)


def _passcode(link: MeetingLink, texts: list[str], is_only: bool) -> str | None:
    """Return the first passcode that the texts state for the link's meeting.

    `is_only` says that the event names no other meeting.
    """
    stated = (passcode_in_text(text, link.meeting_id or "", is_only) for text in dict.fromkeys(texts))
    return next(filter(None, stated), None)
