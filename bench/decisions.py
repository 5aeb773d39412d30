"""Decisions that one core makes in a second of its own time: 20 rules over mixed events.

Prints JSON with two rates: over the same events again and again, as most events of a calendar are with the same people;
and over events with new titles and addresses, so that nothing of them is remembered.

python -m bench.decisions [--seconds 3]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from meetbot.domain.event import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.rules import (
    CompiledRules,
    DecisionContext,
    Layer,
    Outcome,
    RuleLayer,
    compile_rules,
    decide,
    parse_rule_set,
)

_ROUNDS = 50
"""Rounds of all events between two looks at the clock."""

_NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

_PREDICATES: list[tuple[str, dict[str, Any]]] = [
    ("skip", {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]}),
    ("skip", {"visibility": {"in": ["private", "confidential"]}}),
    ("skip", {"title": {"matches": r"\b(therapy|doctor|dentist|interview)\b"}}),
    ("skip", {"title": {"contains": "do not record"}}),
    ("skip", {"attendee_domains": {"any_of": ["lawfirm.example", "auditors.example"]}}),
    ("skip", {"duration_minutes": {"lt": 10}}),
    ("skip", {"attendee_count": {"gt": 150}}),
    ("skip", {"start": {"weekdays": ["sat", "sun"], "timezone": "Europe/Berlin"}}),
    ("record", {"attendee_domains": {"any_of": ["customer.com", "client.example", "partner.example"]}}),
    ("record", {"all": [{"external": True}, {"is_organizer": True}, {"response": "accepted"}]}),
    ("record", {"organizer_domain": {"in": ["bigco.example", "huge.example"]}}),
    ("record", {"title": {"matches": r"demo|kick-?off|QBR"}}),
    ("record", {"all": [{"recurring": True}, {"title": {"contains": "all hands"}}]}),
    ("record", {"all": [{"platform": "zoom"}, {"external_count": {"gte": 2}}]}),
    ("record", {"organizer_email": {"in": ["ceo@acme.example", "cto@acme.example"]}}),
    ("record", {"not": {"any": [{"internal": True}, {"external": True}]}}),
    ("record", {"all": [{"calendar_id": "sales@acme.example"}, {"provider": "google"}]}),
    ("record", {"attendee_emails": {"all_of": ["ana@acme.example", "bea@acme.example"]}}),
    (
        "record",
        {"start": {"weekdays": ["mon"], "from": "17:00", "to": "19:00", "timezone": "America/New_York"}},
    ),
    ("record", {"all": [{"internal": True}, {"attendee_count": {"gte": 3, "lte": 30}}]}),
]


def _rules() -> CompiledRules:
    rules = [
        {"name": f"rule {number}", "action": action, "when": when}
        for number, (action, when) in enumerate(_PREDICATES, start=1)
    ]
    return compile_rules([RuleLayer(parse_rule_set({"rules": rules}), "rsv_1", Layer.DEFAULT)])


def _events() -> list[Event]:
    """Return a day of meetings, some of which no rule matches.

    They are with customers, with colleagues, one-to-ones and a large one.
    """
    guests = [
        ["ana@acme.example", "carl@customer.com"],
        ["ana@acme.example", "dora@acme.example", "eve@acme.example"],
        ["boss@acme.example"],
        ["fred@elsewhere.example", "gus@elsewhere.example", "hana@acme.example"],
        [f"person{number}@acme.example" for number in range(40)],
        ["ida@unknown.example"],
        ["jon@acme.example", "kim+cal@EU.Client.example"],
        ["lea@acme.example"],
    ]
    titles = ["Weekly sync", "Roadmap review", "1:1", "Vendor call", "All hands", "Catch-up", "Überblick", "Design"]
    return [_event(title, emails, hour) for hour, (title, emails) in enumerate(zip(titles, guests, strict=True), 8)]


def _fresh(events: list[Event], number: int) -> list[Event]:
    """The same events with new titles, addresses and ids, which are new strings in memory too."""
    return [_renamed(event, f"{number:x}") for event in events]


def _renamed(event: Event, mark: str) -> Event:
    guests = (
        attendee if attendee.is_self or attendee.resource else replace(attendee, email=f"{mark}.{attendee.email}")
        for attendee in event.attendees
    )
    return replace(
        event,
        title=f"{event.title} {mark}",
        provider_event_id=f"{event.provider_event_id}-{mark}",
        ical_uid=f"{mark}-{event.ical_uid}",
        attendees=tuple(guests),
    )


def _event(title: str, emails: list[str], hour: int) -> Event:
    start = _NOW + timedelta(hours=hour - 7)
    owner = Attendee("owner@acme.example", response=Response.ACCEPTED, organizer=True, is_self=True)
    room = Attendee("c_188@resource.calendar.google.com", resource=True)
    return Event(
        provider=Provider.GOOGLE,
        calendar_id="owner@acme.example",
        provider_event_id=f"event-{hour}",
        ical_uid=f"event-{hour}@google.com",
        original_start=None,
        title=title,
        start=start,
        end=start + timedelta(minutes=45),
        all_day=False,
        status=EventStatus.CONFIRMED,
        organizer=owner,
        attendees=(owner, room, *(Attendee(email, response=Response.ACCEPTED) for email in emails)),
        is_organizer=False,
        owner_response=Response.ACCEPTED,
        recurring=False,
        visibility=Visibility.DEFAULT,
        link=MeetingLink(Platform.GOOGLE_MEET, "https://meet.google.com/abc-defg-hij", "abc-defg-hij", None, "x"),
    )


def _rate(
    batches: Iterable[list[Event]], context: DecisionContext, rules: CompiledRules, seconds: float
) -> tuple[int, float]:
    """Return how many decisions were made, and how many per second of this process's time.

    Making the batches is not counted.
    """
    decisions, elapsed = 0, 0.0
    for events in batches:
        started = time.process_time()
        for event in events:
            decide(event, context, rules)
        elapsed += time.process_time() - started
        decisions += len(events)
        if elapsed >= seconds:
            break
    return decisions, decisions / elapsed


def measure(seconds: float) -> dict[str, Any]:
    """Return both rates, each measured for about ``seconds``, and what was decided."""
    rules, events = _rules(), _events()
    context = DecisionContext("owner@acme.example", ("acme.example",), {"manager_email": "boss@acme.example"}, _NOW)
    outcomes = [decide(event, context, rules) for event in events]
    decisions, repeated = _rate(itertools.repeat(events * _ROUNDS), context, rules, seconds)
    never_seen = (_fresh(events, number) for number in itertools.count())
    batches = (
        [event for events in itertools.islice(never_seen, _ROUNDS) for event in events] for _ in itertools.count()
    )
    _, fresh = _rate(batches, context, rules, seconds)
    return {
        "rules": len(rules.rules),
        "events": len(events),
        "attendees_per_event": sum(len(event.attendees) for event in events) / len(events),
        "matched": sum(decision.rule is not None for decision in outcomes),
        "recorded": sum(decision.outcome is Outcome.RECORD for decision in outcomes),
        "decisions": decisions,
        "decisions_per_second": round(repeated),
        "decisions_per_second_on_titles_and_addresses_never_seen_before": round(fresh),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    json.dump(measure(parser.parse_args().seconds), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
