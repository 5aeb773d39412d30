"""JSON lines in, decisions out: one line each, whatever comes in."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from meetbot.rules.cli import EXIT_BAD_LINES, EXIT_BAD_RULES, EXIT_OK, run
from meetbot.rules.language import EXAMPLE
from tests.unit.rules.shared import EVERYTHING, line, rule

_RECORD_EVERYTHING = {"rules": [rule(EVERYTHING, name="everything")]}


def evaluated(document: object, lines: Iterable[str | bytes]) -> tuple[int, list[dict[str, Any]]]:
    written: list[str] = []
    exit_code = run(document, lines, written.append)
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in written)
    return exit_code, [json.loads(text) for text in written]


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
def test_the_platform_follows_from_the_url_where_none_is_named(url: str, platform: str) -> None:
    answer = answer_to(line({"meeting_url": url, "meeting_platform": None}))
    assert (answer["outcome"], answer["facts"]["platform"]) == ("record", platform)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ({"dateTime": "2026-03-02T10:00:00+01:00"}, {"dateTime": "2026-03-02T11:00:00+01:00"}),
        ({"dateTime": "2026-03-02T09:00:00.0000000", "timeZone": "UTC"}, {"dateTime": "2026-03-02T10:00:00.0000000"}),
        ("2026-03-02T09:00:00", "2026-03-02T10:00:00"),
    ],
)
def test_times_come_in_the_providers_shapes_too(start: object, end: object) -> None:
    assert answer_to(line({"start": start, "end": end}))["facts"]["duration_minutes"] == 60


def test_a_time_without_offset_is_read_in_the_zone_beside_it() -> None:
    end = {"dateTime": "2026-03-02T09:00:00", "timeZone": "W. Europe Standard Time"}
    assert answer_to(line({"start": end, "end": end}))["reason"] == "ended"


def test_a_zone_that_does_not_exist_is_a_fault() -> None:
    time = {"dateTime": "2026-03-02T09:00:00", "timeZone": "Mars/Base"}
    assert fault_at(line({"end": time})) == "event.end.timeZone"


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


@pytest.mark.parametrize("name", ["all_day", "allDay", "isAllDay", "is_all_day", "all-day", "ALL_DAY"])
def test_a_field_may_be_spelled_as_elsewhere(name: str) -> None:
    assert answer_to(line({name: True}))["reason"] == "all_day"


def test_our_own_name_of_a_field_wins_over_others() -> None:
    assert answer_to(line({"visibility": "public", "sensitivity": "private"}))["facts"]["visibility"] == "public"


@pytest.mark.parametrize("marks", [{"allDay": True, "all_day": False}, {"all_day": False, "isAllDay": True}])
def test_of_two_marks_for_all_day_the_cautious_one_counts(marks: dict[str, bool]) -> None:
    assert answer_to(line(marks))["reason"] == "all_day"


@pytest.mark.parametrize(
    "person",
    [
        {"response": "accepted", "responseStatus": "declined"},
        {"response": "declined", "responseStatus": "accepted"},
        {"status": {"response": "declined"}, "response": "accepted"},
    ],
)
def test_of_two_answers_of_one_person_the_cautious_one_counts(person: dict[str, Any]) -> None:
    attendee = {"email": "owner@acme.com", **person}
    assert answer_to(line({"attendees": [attendee]}))["reason"] == "owner_declined"


def test_of_two_answers_beside_the_list_the_cautious_one_counts() -> None:
    event = {"response": "accepted", "responseStatus": {"response": "declined"}}
    assert answer_to(line(event))["reason"] == "owner_declined"


@pytest.mark.parametrize(
    "answer", [{"response": "declined"}, {"responseStatus": "declined"}, {"status": {"response": "declined"}}]
)
@pytest.mark.parametrize("attendees", [[], [{"email": "owner@acme.com", "response": "accepted"}]])
def test_who_declined_as_the_organiser_has_declined(answer: dict[str, Any], attendees: list[dict[str, str]]) -> None:
    event = {"organizer": {"email": "Owner+x@acme.com", **answer}, "attendees": attendees}
    assert answer_to(line(event))["reason"] == "owner_declined"


def test_somebody_else_who_declined_as_the_organiser_declines_for_nobody_else() -> None:
    event = {"organizer": {"email": "ana@acme.com", "response": "declined"}}
    assert answer_to(line(event))["outcome"] == "record"


@pytest.mark.parametrize("event_type", ["focusTime", "outOfOffice", "workingLocation", "birthday"])
def test_google_s_types_of_event_that_are_no_meetings_are_read(event_type: str) -> None:
    assert answer_to(line({"eventType": event_type}))["reason"] == "no_meeting_url"
    assert answer_to(line({"eventType": "default"}))["outcome"] == "record"


def test_a_draft_is_no_meeting() -> None:
    assert answer_to(line({"isDraft": True}))["reason"] == "no_meeting_url"


@pytest.mark.parametrize(
    "mark", [{"attendeesOmitted": True}, {"hideAttendees": True}, {"guestsCanSeeOtherGuests": False}]
)
def test_hidden_guests_are_read_in_the_providers_words(mark: dict[str, bool]) -> None:
    event = {"organizer": {"email": "ana@acme.com"}, **mark}
    assert answer_to(line(event))["facts"]["attendees_complete"] is False


def test_guests_that_are_hidden_from_others_are_not_hidden_from_the_organiser() -> None:
    assert answer_to(line({"hideAttendees": True}))["facts"]["attendees_complete"] is True


@pytest.mark.parametrize(("kind", "recurring"), [("occurrence", True), ("exception", True), ("singleInstance", False)])
def test_microsoft_s_type_says_whether_an_event_is_of_a_series(kind: str, recurring: bool) -> None:
    assert answer_to(line({"type": kind}))["facts"]["recurring"] is recurring


def test_an_attendee_who_is_marked_as_the_organiser_is_the_organiser() -> None:
    event = {"organizer": None, "attendees": [{"email": "ana@boss.example", "organizer": True}]}
    assert answer_to(line(event))["facts"]["organizer_domain"] == "boss.example"


def test_an_answer_that_is_no_text_is_a_fault() -> None:
    assert fault_at(line({"attendees": [{"email": "a@b.c", "response": 5}]})) == "event.attendees.0.response"


def test_a_date_makes_an_all_day_event() -> None:
    assert answer_to(line({"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}}))["reason"] == "all_day"


def test_extra_fields_do_not_matter() -> None:
    assert answer_to({**line({"etag": 1}), "comment": "x"})["outcome"] == "record"


def test_a_line_of_many_megabytes_is_refused() -> None:
    assert fault_at(line({"title": "x" * (5 << 20)})) == ""


def test_a_line_nested_thousands_deep_is_refused() -> None:
    exit_code, (answer,) = evaluated(_RECORD_EVERYTHING, ['{"event":' + "[" * 100_000])
    assert exit_code == EXIT_BAD_LINES
    assert answer["error"]["message"] == "the line is not JSON"


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(_RECORD_EVERYTHING))
    done = subprocess.run(
        [sys.executable, "-m", "meetbot.rules", str(rules)],
        input=json.dumps(line()) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (EXIT_OK, "record")


def test_any_iterable_of_lines_will_do() -> None:
    exit_code, answers = evaluated(_RECORD_EVERYTHING, io.BytesIO(json.dumps(line()).encode() + b"\n"))
    assert (exit_code, len(answers)) == (EXIT_OK, 1)
