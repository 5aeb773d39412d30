"""JSON lines in, decisions out: one line each, whatever comes in."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from meetbot.rules.cli import EXIT_BAD_LINES, EXIT_BAD_RULES, EXIT_OK
from meetbot.rules.language import EXAMPLE
from tests.unit.rules.shared import EVERYTHING, evaluated, line, rule

_REFUSED = Path(__file__).parents[2] / "corpus" / "rules" / "refused" / "lines.jsonl"
_RECORD_EVERYTHING = {"rules": [rule(EVERYTHING, name="everything")]}


def answer_to(one: object, document: object = _RECORD_EVERYTHING) -> dict[str, Any]:
    _, (answer,) = evaluated(document, [json.dumps(one)])
    return answer


def fault_at(one: object) -> str:
    exit_code, (answer,) = evaluated(_RECORD_EVERYTHING, [json.dumps(one)])
    assert exit_code == EXIT_BAD_LINES
    assert answer["error"]["code"] == "invalid_event"
    path: str = answer["error"]["path"]
    return path


def test_each_line_gets_its_decision() -> None:
    manager = {"attributes": {"manager_email": "boss@acme.com"}}
    lines = [
        line({"attendees": [{"email": "Boss@acme.com"}]}, **manager),
        line({"attendees": [{"email": "cy@eu.customer.com"}]}, **manager),
        line({"attendees": [{"email": "ana@acme.com"}]}, **manager),
        line({"attendees": [{"email": "z@elsewhere.org"}]}, **manager),
        line({"meeting_url": None}, **manager),
    ]
    exit_code, answers = evaluated(EXAMPLE, [json.dumps(each) for each in lines])
    assert exit_code == EXIT_OK
    assert [(answer["outcome"], answer["reason"], answer["rule"]) for answer in answers] == [
        ("skip", "rule_matched", "no 1:1s with my manager"),
        ("record", "rule_matched", "customers"),
        ("record", "rule_matched", "internal meetings"),
        ("skip", "no_rule_matched", None),
        ("skip", "no_meeting_url", None),
    ]
    assert answers[1]["facts"]["attendee_domains"] == ["acme.com", "eu.customer.com"]


def test_a_bad_line_is_answered_by_an_error_and_the_rest_goes_on() -> None:
    good = json.dumps(line())
    exit_code, answers = evaluated(_RECORD_EVERYTHING, [good, "{", b"\xff\xfe", "[]", "", "  \n", good.encode()])
    assert exit_code == EXIT_BAD_LINES
    assert [answer.get("outcome", "error") for answer in answers] == ["record", "error", "error", "error", "record"]
    assert [answers[number]["error"]["line"] for number in (1, 2, 3)] == [2, 3, 4]


def test_a_bad_rule_set_is_answered_by_all_its_faults() -> None:
    document = {"rules": [rule({"intrenal": True}), rule({"title": {"matches": "("}}, name="b")]}
    exit_code, (answer,) = evaluated(document, [json.dumps(line())])
    assert exit_code == EXIT_BAD_RULES
    assert answer["error"]["code"] == "invalid_rules"
    assert [fault["path"] for fault in answer["error"]["errors"]] == [
        "rules.0.when.intrenal",
        "rules.1.when.title.matches",
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"owner_email": None}, "owner_email"),
        ({"owner_email": " "}, "owner_email"),
        ({"now": None}, "now"),
        ({"now": "yesterday"}, "now"),
        ({"now": 1772438400}, "now"),
        ({"internal_domains": "acme.com"}, "internal_domains"),
        ({"internal_domains": [1]}, "internal_domains"),
        ({"override": "maybe"}, "override"),
        ({"override": ["record"]}, "override"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": {}}}, "attributes.a"),
        ({"attributes": {"a": [1]}}, "attributes.a"),
        ({"event": None}, "event"),
    ],
)
def test_a_bad_context_is_told_with_its_path(change: dict[str, Any], path: str) -> None:
    assert fault_at({**line(), **change}) == path


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"start": "soon"}, "event.start"),
        ({"end": 5}, "event.end"),
        ({"end": "9999-12-31T23:59:59-14:00"}, "event.end"),
        ({"original_start": "x"}, "event.original_start"),
        ({"attendees": {}}, "event.attendees"),
        ({"attendees": [{"email": "a@b.c"}, 5]}, "event.attendees.1"),
        ({"attendees": [{"email": 5}]}, "event.attendees.0.email"),
        ({"attendees": [{"email": "a@b.c", "resource": "yes"}]}, "event.attendees.0.resource"),
        ({"organizer": 5}, "event.organizer"),
        ({"all_day": "no"}, "event.all_day"),
        ({"visibility": "hidden"}, "event.visibility"),
        ({"status": "maybe"}, "event.status"),
        ({"provider": "apple"}, "event.provider"),
        ({"meeting_platform": "x"}, "event.meeting_platform"),
    ],
)
def test_a_bad_event_is_told_with_its_path(change: dict[str, Any], path: str) -> None:
    assert fault_at(line(change)) == path


def test_errors_do_not_repeat_what_a_line_holds() -> None:
    answer = answer_to(line({"visibility": "secret@acme.com"}))
    assert "secret" not in json.dumps(answer)


def test_what_is_left_out_is_taken_for_the_ordinary() -> None:
    bare = {
        "event": {
            "start": "2026-03-02T09:00:00Z",
            "end": "2026-03-02T10:00:00Z",
            "meeting_url": "https://zoom.us/j/123456789",
        },
        "owner_email": "owner@acme.com",
        "now": "2026-03-02T08:00:00Z",
    }
    answer = answer_to(bare)
    assert answer["outcome"] == "record"
    assert answer["facts"]["attendee_count"] == 1
    assert answer["facts"]["internal"] is True


@pytest.mark.parametrize(
    ("url", "platform"),
    [("https://acme.zoom.us/j/123456789", "zoom"), ("https://meetings.acme.com/room/1", "none")],
)
def test_an_unnamed_platform_follows_from_the_url(url: str, platform: str) -> None:
    answer = answer_to(line({"meeting_url": url, "meeting_platform": None}))
    assert (answer["outcome"], answer["facts"]["platform"]) == ("record", platform)


def test_a_time_without_an_offset_is_in_utc() -> None:
    event = {"start": "2026-03-02T10:00:00+01:00", "end": "2026-03-02T10:00:00"}
    assert answer_to(line(event))["facts"]["duration_minutes"] == 60


def test_half_a_surrogate_pair_in_a_title_is_no_obstacle() -> None:
    _, (answer,) = evaluated(_RECORD_EVERYTHING, [json.dumps(line({"title": "Sync \ud83d"}))])
    assert answer["outcome"] == "record"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", "\N{BYTE ORDER MARK}"])
def test_a_byte_order_mark_is_no_obstacle(mark: str | bytes) -> None:
    text = json.dumps(line())
    _, (answer,) = evaluated(_RECORD_EVERYTHING, [mark + text.encode() if isinstance(mark, bytes) else mark + text])
    assert answer["outcome"] == "record"


@pytest.mark.parametrize("text", ['{"now": NaN}', '{"now": Infinity}', "{'now': 1}", '{"now": 1,}'])
def test_what_is_almost_json_is_refused(text: str) -> None:
    _, (answer,) = evaluated(_RECORD_EVERYTHING, [text])
    assert answer["error"]["message"] == "the line is not JSON"


@pytest.mark.parametrize("entry", [json.loads(text) for text in _REFUSED.read_text(encoding="utf-8").splitlines()])
def test_a_field_that_is_not_ours_is_told_with_its_path(entry: dict[str, Any]) -> None:
    assert fault_at(line(entry["event"])) == entry["fault_at"], entry["case"]


def test_a_foreign_field_is_told_what_to_do() -> None:
    message = answer_to(line({"hangoutLink": "https://meet.google.com/abc-defg-hij"}))["error"]["message"]
    assert 'add "provider" to the line' in message


def test_an_unknown_field_of_the_line_is_told_with_its_path() -> None:
    assert fault_at({**line(), "comment": "x"}) == "comment"


def test_the_path_of_an_unknown_field_is_bounded() -> None:
    assert len(fault_at({**line(), "x" * 10_000: 1})) == 64


_EVENT_RESOURCE = """
    id calendar_user_id calendar_id provider_event_id ical_uid original_start title start end all_day status organizer
    attendees recurring visibility meeting_url meeting_platform meeting_id meeting_url_source decision override bot_id
    bot_expected_at deleted updated_at
"""
_PERSON = {"email": "owner@acme.com", "name": "O", "response": "accepted", "resource": False, "organizer": True}


def test_an_event_as_the_api_answers_it_is_taken() -> None:
    people = {"organizer": {**_PERSON, "self": True}, "attendees": [{**_PERSON, "self": True}]}
    resource = {**dict.fromkeys(_EVENT_RESOURCE.split()), **line(people)["event"], "decision": {}, "deleted": False}
    assert answer_to(line(resource))["outcome"] == "record"


@pytest.mark.parametrize("attendees", [[], [{"email": "owner@acme.com", "response": "accepted"}]])
def test_who_declined_as_the_organiser_has_declined(attendees: list[dict[str, str]]) -> None:
    event = {"organizer": {"email": "Owner+x@acme.com", "response": "declined"}, "attendees": attendees}
    assert answer_to(line(event))["reason"] == "owner_declined"


def test_another_organiser_who_declined_declines_only_for_themselves() -> None:
    event = {"organizer": {"email": "ana@acme.com", "response": "declined"}}
    assert answer_to(line(event))["outcome"] == "record"


def test_an_attendee_who_is_marked_as_the_organiser_is_the_organiser() -> None:
    event = {"organizer": None, "attendees": [{"email": "ana@boss.example", "organizer": True}]}
    assert answer_to(line(event))["facts"]["organizer_domain"] == "boss.example"


def test_an_answer_that_is_no_text_is_a_fault() -> None:
    assert fault_at(line({"attendees": [{"email": "a@b.c", "response": 5}]})) == "event.attendees.0.response"


def test_a_date_makes_an_all_day_event() -> None:
    assert answer_to(line({"start": "2026-03-02", "end": "2026-03-03"}))["reason"] == "all_day"


def test_a_line_of_many_megabytes_is_refused() -> None:
    assert fault_at(line({"title": "x" * (5 << 20)})) == ""


def test_a_line_nested_thousands_deep_is_refused() -> None:
    exit_code, (answer,) = evaluated(_RECORD_EVERYTHING, ['{"event":' + "[" * 100_000])
    assert exit_code == EXIT_BAD_LINES
    assert answer["error"]["message"] == "the line is not JSON"


def test_any_iterable_of_lines_will_do() -> None:
    exit_code, answers = evaluated(_RECORD_EVERYTHING, io.BytesIO(json.dumps(line()).encode() + b"\n"))
    assert (exit_code, len(answers)) == (EXIT_OK, 1)
