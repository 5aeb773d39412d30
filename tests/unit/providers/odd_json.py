"""JSON of any shape, and every text that an event may have taken from it."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import strategies as st

from meetbot.domain.event import Event


def strings_of(event: Event) -> list[str]:
    found: list[str] = []
    for field in fields(event):
        value = getattr(event, field.name)
        found.extend([value] if isinstance(value, str) else [])
    people = [*event.attendees, *([event.organizer] if event.organizer else [])]
    for person in people:
        found.extend(text for text in (person.email, person.name) if text is not None)
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
