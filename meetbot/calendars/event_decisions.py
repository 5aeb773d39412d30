"""Decisions about events, made for the first time or once more.

Pure: knows no clock, network or database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from meetbot.domain.event import Event
from meetbot.domain.identity import Identity
from meetbot.rules import Decision, Override
from meetbot.rules.policy import Policy, decider


@dataclass(frozen=True, slots=True)
class NormalisedEvent:
    """An event as a provider gave it or as it is stored, before anything is decided about it."""

    event: Event
    identity: Identity
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class DecidedEvent:
    """An event with the decision about it and the override, if any, that was in force."""

    event: Event
    identity: Identity
    fingerprint: bytes
    decision: Decision
    override: Override | None


@dataclass(frozen=True, slots=True)
class EarlierDecision:
    """A stored event with what is stored of the decision about it.

    ``made`` is outcome, reason, rule, rule set version, rule layer, override and facts, as plain text and JSON: an earlier
    release may have stored codes that are none today.
    """

    read: NormalisedEvent
    made: tuple[object, ...]


def decide_events(policy: Policy, events: Iterable[NormalisedEvent], *, now: datetime) -> Iterator[DecidedEvent]:
    """Decide about each event by one policy."""
    decide = decider(policy, now=now)
    for read in events:
        yield DecidedEvent(
            event=read.event,
            identity=read.identity,
            fingerprint=read.fingerprint,
            decision=decide(read.event, read.identity),
            override=policy.override_for(read.identity),
        )


def decide_again(policy: Policy, earlier: Iterable[EarlierDecision], *, now: datetime) -> Iterator[DecidedEvent]:
    """Decide about stored events once more, and return those whose decision changed."""
    before = list(earlier)
    decided = decide_events(policy, (one.read for one in before), now=now)
    return (new for one, new in zip(before, decided, strict=True) if one.made != _as_stored(new))


def _as_stored(decided: DecidedEvent) -> tuple[object, ...]:
    decision = decided.decision
    return (
        decision.outcome,
        decision.reason,
        decision.rule,
        decision.rule_set_version,
        decision.layer,
        decided.override,
        dict(decision.facts),
    )
