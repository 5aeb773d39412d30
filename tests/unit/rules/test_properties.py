"""What holds for every rule set and every event."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from meetbot.domain.event import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.rules import (
    CompiledRules,
    DecisionContext,
    Layer,
    Outcome,
    Override,
    ReasonCode,
    RuleLayer,
    RuleSetBody,
    compile_rules,
    decide,
    parse_rule_set,
    vocabulary,
)
from meetbot.rules.fact_tests import WEEKDAYS
from meetbot.rules.validator import check_document

_NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
_SCHEMA = jsonschema.Draft202012Validator(RuleSetBody.model_json_schema())

_DOMAINS = ["acme.com", "eu.acme.com", "customer.com", "evilcustomer.com", "münchen.de", "xn--mnchen-3ya.de"]
_ADDRESSES = [f"{name}@{domain}" for name in ("ana", "Bob+x", "owner") for domain in _DOMAINS]
_ODD_ADDRESSES = [
    "",
    "@",
    "a@",
    "@a",
    "printer",
    "x@group.calendar.google.com",
    "a@b@c",
    " ",
    "a@ｂ.com",
    "a@-.-",
    "+@x",
]


def _tests_of(names: tuple[str, ...], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3)


def _texts(known: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([*known, "$boss", "$accounts", "$missing"])


def _lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, min_size=1, max_size=4)


def _text_tests(values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    patterns = st.sampled_from(["a", "^a.*m$", "(a+)+$", r"\bx\b", "straße", "[^a-z]", "$boss"])
    contained = st.sampled_from(["a", "ß", "$boss", "$$", "1:1"])
    return values | st.fixed_dictionaries({"in": _lists(values)}, optional={"contains": contained, "matches": patterns})


_CLOCKS = st.sampled_from(["00:00", "08:30", "17:00", "23:59"])
_STARTS = st.fixed_dictionaries(
    {"timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "$boss"])},
    optional={"from": _CLOCKS, "weekdays": st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7)},
).filter(lambda test: len(test) > 1)

_COUNTS = st.integers(0, 5)
_NUMBERS = st.integers(-1, 5) | st.sampled_from([0.5, 2.0, 2.5])
_COUNT_TESTS = _tests_of(("eq", "ne"), _COUNTS) | _tests_of(("gt", "gte", "lt", "lte"), _NUMBERS)

_LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"always": True}),
    *(st.fixed_dictionaries({fact: st.booleans()}) for fact in vocabulary.TRUTH_FACTS),
    *(st.fixed_dictionaries({fact: _COUNTS | _COUNT_TESTS}) for fact in vocabulary.COUNT_FACTS),
    st.fixed_dictionaries({"duration_minutes": _NUMBERS | _tests_of(vocabulary.NUMBER_TESTS, _NUMBERS)}),
    *(
        st.fixed_dictionaries({fact: _text_tests(_texts(list(values)))})
        for fact, values in {
            "title": ["", "Weekly", "straße"],
            "calendar_id": ["primary"],
            "organizer_email": _ADDRESSES,
            "organizer_domain": _DOMAINS,
            **vocabulary.CHOICES,
        }.items()
    ),
    st.fixed_dictionaries({"attendee_domains": _tests_of(vocabulary.SET_TESTS, _lists(_texts(_DOMAINS)))}),
    st.fixed_dictionaries({"attendee_emails": _tests_of(vocabulary.SET_TESTS, _lists(_texts(_ADDRESSES)))}),
    st.fixed_dictionaries({"start": _STARTS}),
)


def _connected(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"all": several}),
        st.fixed_dictionaries({"any": several}),
        st.fixed_dictionaries({"not": inner}),
    )


_PREDICATES = st.recursive(_LEAVES, _connected, max_leaves=6).filter(lambda predicate: _depth(predicate) <= 8)
_ACTIONS = st.sampled_from(["record", "skip"])
_RULE_SETS = st.builds(
    lambda pairs, all_day: {
        "rules": [
            {"name": f"rule {number}", "action": action, "when": when} for number, (action, when) in enumerate(pairs)
        ],
        "all_day": all_day,
    },
    st.lists(st.tuples(_ACTIONS, _PREDICATES), max_size=4),
    st.booleans(),
)

_ATTENDEES = st.builds(
    Attendee,
    email=st.none() | st.sampled_from(_ADDRESSES + _ODD_ADDRESSES) | st.text(max_size=20),
    name=st.none() | st.text(max_size=5),
    response=st.sampled_from(Response),
    resource=st.booleans(),
    is_self=st.booleans(),
)
_INSTANTS = (
    st.none()
    | st.datetimes(timezones=st.just(UTC))
    | st.integers(-90, 90).map(lambda minutes: _NOW + timedelta(minutes=minutes))
)
_EVENTS = st.builds(
    Event,
    provider=st.sampled_from(Provider),
    calendar_id=st.text(max_size=5),
    provider_event_id=st.just("e"),
    ical_uid=st.none(),
    original_start=st.none() | st.just(_NOW),
    title=st.text(max_size=30) | st.sampled_from(["Weekly", "STRASSE", "a" * 500 + "!"]),
    start=_INSTANTS,
    end=_INSTANTS,
    all_day=st.booleans(),
    status=st.sampled_from(EventStatus),
    organizer=st.none() | _ATTENDEES,
    attendees=st.lists(_ATTENDEES, max_size=5).map(tuple),
    is_organizer=st.booleans(),
    owner_response=st.none() | st.sampled_from(Response),
    recurring=st.booleans(),
    visibility=st.sampled_from(Visibility),
    link=st.none()
    | st.builds(MeetingLink, st.sampled_from(Platform), st.just("https://x"), st.none(), st.none(), st.just("y")),
    is_meeting=st.booleans(),
    attendees_complete=st.booleans(),
)
_CONTEXTS = st.builds(
    DecisionContext,
    owner_email=st.sampled_from(_ADDRESSES) | st.text(max_size=10),
    internal_domains=st.lists(st.sampled_from(_DOMAINS) | st.text(max_size=5), max_size=2).map(tuple),
    attributes=st.dictionaries(
        st.sampled_from(["boss", "accounts"]),
        st.none() | st.booleans() | st.integers() | st.sampled_from(_ADDRESSES) | st.lists(st.sampled_from(_DOMAINS)),
    ),
    now=st.just(_NOW),
    override=st.none() | st.sampled_from(Override),
)


@settings(max_examples=100, deadline=None)
@given(_RULE_SETS, _EVENTS, _CONTEXTS)
def test_every_rule_set_decides_every_event(document: dict[str, Any], event: Event, context: DecisionContext) -> None:
    decision = decide(event, context, _compiled(document))
    assert json.loads(json.dumps(decision.facts)) == decision.facts
    assert (decision.rule is not None) == (decision.reason is ReasonCode.RULE_MATCHED)
    recorded = decision.outcome is Outcome.RECORD
    if recorded:
        assert decision.reason in (ReasonCode.RULE_MATCHED, ReasonCode.OVERRIDE_RECORD)
        assert event.link is not None
        assert event.end is not None
        assert event.end > _NOW
        assert event.status is not EventStatus.CANCELLED
        assert context.override is not Override.SKIP
        assert event.owner_response is not Response.DECLINED or context.override is Override.RECORD


@settings(max_examples=60, deadline=None)
@given(_RULE_SETS, _EVENTS, _CONTEXTS)
def test_the_first_rule_that_matches_alone_decides(
    document: dict[str, Any], event: Event, context: DecisionContext
) -> None:
    decision = decide(event, context, _compiled(document))
    matching = [item["name"] for item in document["rules"] if _matches_alone(item, document, event, context)]
    if decision.reason in (ReasonCode.RULE_MATCHED, ReasonCode.NO_RULE_MATCHED) and not event.all_day:
        assert decision.rule == (matching[0] if matching else None)


@settings(max_examples=60, deadline=None)
@given(_PREDICATES.filter(lambda predicate: "$" not in str(predicate)), _EVENTS, _CONTEXTS)
def test_with_complete_facts_a_predicate_or_its_negation_holds_and_never_both(
    predicate: dict[str, Any], event: Event, context: DecisionContext
) -> None:
    known = replace(event, **_RECORDABLE)
    knowing = replace(context, override=None)
    assert _records(predicate, known, knowing) != _records({"not": predicate}, known, knowing)


@settings(max_examples=100, deadline=None)
@given(_PREDICATES, _EVENTS, _CONTEXTS, st.lists(_ATTENDEES, max_size=4))
def test_a_hidden_list_records_only_what_every_whole_list_would_record(
    predicate: dict[str, Any], event: Event, context: DecisionContext, hidden: list[Attendee]
) -> None:
    seen = replace(event, **{**_RECORDABLE, "attendees_complete": False})
    # Those who are hidden are others: nobody who is seen, nor a second copy of them that changes an answer.
    strangers = tuple(
        replace(each, email=f"hidden{number}@{_domain(each)}", is_self=False) for number, each in enumerate(hidden)
    )
    whole = replace(seen, attendees=(*event.attendees, *strangers), attendees_complete=True)
    context = replace(context, override=None)
    if _records(predicate, seen, context):
        assert _records(predicate, whole, context)
    if not _skips(predicate, seen, context):
        assert not _skips(predicate, whole, context)


@settings(max_examples=60, deadline=None)
@given(_RULE_SETS)
def test_what_the_parser_takes_comes_back_and_suits_the_schema(document: dict[str, Any]) -> None:
    assert check_document(document) == []
    stored = parse_rule_set(document).document()
    assert parse_rule_set(stored) == parse_rule_set(document)
    _SCHEMA.validate(document)
    _SCHEMA.validate(stored)


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rules", "name", "action", "when", "all_day", "always", "all", "any", "not", *vocabulary.FACTS]
            )
            | st.sampled_from([*vocabulary.TEXT_TESTS, *vocabulary.NUMBER_TESTS, *vocabulary.SET_TESTS])
            | st.sampled_from(vocabulary.START_TESTS)
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(_JSON, _JSON)
def test_any_json_is_a_rule_set_or_has_faults_at_places(document: Any, when: Any) -> None:
    for candidate in (document, {"rules": [{"name": "n", "action": "skip", "when": when}]}):
        findings = check_document(candidate)
        if findings:
            assert all(finding.message and "\0" not in finding.path for finding in findings)
        else:
            compile_rules([RuleLayer(parse_rule_set(candidate), "v", Layer.USER)])


_RECORDABLE: dict[str, Any] = {
    "status": EventStatus.CONFIRMED,
    "start": _NOW + timedelta(hours=1),
    "end": _NOW + timedelta(hours=2),
    "all_day": False,
    "owner_response": Response.ACCEPTED,
    "link": MeetingLink(Platform.ZOOM, "https://x", None, None, "y"),
    "is_meeting": True,
    "attendees_complete": True,
}


def _compiled(document: dict[str, Any]) -> CompiledRules:
    return compile_rules([RuleLayer(parse_rule_set(document), "v", Layer.USER)])


def _matches_alone(item: dict[str, Any], document: dict[str, Any], event: Event, context: DecisionContext) -> bool:
    alone = _compiled({**document, "rules": [item]})
    return decide(event, context, alone).reason is ReasonCode.RULE_MATCHED


def _records(predicate: dict[str, Any], event: Event, context: DecisionContext) -> bool:
    rules = _compiled({"rules": [{"name": "n", "action": "record", "when": predicate}]})
    return decide(event, context, rules).outcome is Outcome.RECORD


def _skips(predicate: dict[str, Any], event: Event, context: DecisionContext) -> bool:
    rules = _compiled({"rules": [{"name": "n", "action": "skip", "when": predicate}]})
    return decide(event, context, rules).reason is ReasonCode.RULE_MATCHED


def _depth(predicate: dict[str, Any]) -> int:
    ((key, value),) = predicate.items()
    if key not in vocabulary.CONNECTIVES:
        return 1
    return 1 + max(_depth(inner) for inner in (value if isinstance(value, list) else [value]))


def _domain(attendee: Attendee) -> str:
    return (attendee.email or "").rpartition("@")[2].strip() or "elsewhere.example"
