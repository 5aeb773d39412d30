"""Measure how fast links are found in typical events, and in a megabyte of hostile text.

Prints JSON: `events_per_second`, `worst_ms`, and for each hostile shape the worst of its milliseconds in a megabyte, in
the longest text that is read whole, and in every field at once. CPU time, best of three.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from meetbot.domain.event import Provider
from meetbot.links import find_meeting_link
from meetbot.links.text import READ_WHOLE

_MEGABYTE = 1_000_000
_ROUNDS = 3
_REPEATS = 200

_CONTEXT = (
    "%7b%22Tid%22%3a%2272f988bf-86f1-41af-91ab-2d7cd011db47%22%2c%22Oid%22%3a%22a1b2c3d4-aaaa-bbbb-cccc-01234567%22%7d"
)
_TEAMS = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_NDdhN2YzY2MtZDQ4Ny00%40thread.v2/0?context={_CONTEXT}"
_ZOOM = "https://us02web.zoom.us/j/81234567890?pwd=QWxhZGRpbjpvcGVu.1"
_AGENDA = "Hello everybody, please find the agenda of our weekly meeting below and add what you would like to discuss. "
_PARAGRAPH = f'<p class="MsoNormal"><span style="font-size:11.0pt">{_AGENDA}<b>Thanks</b></span></p>'
_ZOOM_INVITATION = f"""{_AGENDA}

Jane Doe is inviting you to a scheduled Zoom meeting.

Join Zoom Meeting
{_ZOOM}

Meeting ID: 812 3456 7890
Passcode: 123456
One tap mobile
+13017158592,,81234567890#,,,,*123456# US (Washington DC)

Find your local number: https://us02web.zoom.us/u/kdAbCdEf
"""
_TEAMS_INVITATION = f"""<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>
{_PARAGRAPH * 3}
<div style="margin-bottom:24px">________________________________________________________________________________</div>
<div><span style="font-size:24px;font-weight:700">Microsoft Teams</span>
<a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US">Need help?</a></div>
<div><a href="{_TEAMS}" style="font-size:20px">Join the meeting now</a></div>
<div>Meeting ID: 234 567 890 12</div><div>Passcode: AbCdEf</div>
<div><a href="https://dialin.teams.microsoft.com/abc?id=123">Find a local number</a></div>
</body></html>"""

_Event = tuple[Provider, dict[str, Any]]


def _google(**event: Any) -> _Event:
    return Provider.GOOGLE, {"summary": "Weekly", "attendees": [], **event}


def _microsoft(content: str, **event: Any) -> _Event:
    return Provider.MICROSOFT, {"subject": "Weekly", "body": {"contentType": "html", "content": content}, **event}


def _typical() -> list[_Event]:
    meet = "https://meet.google.com/abc-defg-hij"
    entries = [{"entryPointType": "video", "uri": meet}, {"entryPointType": "phone", "uri": "tel:+1-555-0100"}]
    return [
        _google(hangoutLink=meet, conferenceData={"entryPoints": entries}, description=_AGENDA),
        _google(location=_ZOOM, description=_ZOOM_INVITATION),
        _google(description=_ZOOM_INVITATION),
        _google(description=_ZOOM_INVITATION.replace("\n", "<br>")),
        _google(location="Room 1", description=_AGENDA * 5),
        _microsoft(
            _TEAMS_INVITATION, onlineMeeting={"joinUrl": _TEAMS}, location={"displayName": "Microsoft Teams Meeting"}
        ),
        _microsoft(_TEAMS_INVITATION, onlineMeeting={"joinUrl": _TEAMS}, location={"displayName": "Room 1"}),
        _microsoft(_TEAMS_INVITATION),
        _microsoft(f"<html><body>{_PARAGRAPH * 10}</body></html>", location={"displayName": "Room 1"}),
        _microsoft(f'<html><body>{_PARAGRAPH * 5}<a href="{_ZOOM}">{_ZOOM}</a></body></html>'),
    ]


def _filled(text: str) -> str:
    return text * (_MEGABYTE // len(text))


def _hostile() -> dict[str, str]:
    attributes = " ".join(f"a{number}" for number in range(380))
    return {
        "words": _filled("Lorem ipsum dolor sit amet "),
        "hosts": _filled("zoom.us "),
        "other pages": _filled("https://zoom.us/rec/1 "),
        "distinct pages": " ".join(f"https://zoom.us/rec/{number}" for number in range(40_000)),
        "one word": _filled("https://zoom.us/rec/1"),
        "one list": _filled("https://zoom.us/rec/1,"),
        "schemes": "zoom." + _filled("https:/"),
        "entities": "https://zoom.us/?" + _filled("&amp;amp;amp;"),
        "letters as entities": _filled("&#122;oom.us "),
        "soft breaks": _filled("zoom.us=\n"),
        "long lines": _filled("https://zoom.us/rec/" + "a" * 50 + "\n"),
        "open angles": _filled("<https://zoom.us/ \n"),
        "open brackets": _filled("(zoom.us/("),
        "closing brackets": "https://zoom.us/j/1" + _filled(".)"),
        "invisible characters": "zoom.us " + _filled("\u200b"),
        "letters of other scripts": _filled("zoom.ü "),
        "raw JSON": _filled('https://teams.microsoft.com/l/meetup-join/19:x@thread.v2/0?context={"'),
        "rewritten in layers": _filled(
            "https://a.safelinks.protection.outlook.com/?url=https%3A%2F%2Furldefense.com%2Fv3%2F__x "
        ),
        "replaced characters": _filled("https://urldefense.com/v3/__https:/zoom.us/" + "*" * 100 + "__;JSUl!! "),
        "open elements": _filled("<div>zoom.us"),
        "open formatting": _filled("<b><a href=https://zoom.us/>"),
        "links": _filled("<a href=https://zoom.us/rec/1>https://zoom.us/rec/2</a>"),
        "meetings": "".join(f"<a href=https://zoom.us/j/{number}>z</a>" for number in range(100_000_000, 100_029_000)),
        "attributes": _filled(f"<a zoom. {attributes}>"),
        "open tag": "<a zoom.us " + " ".join(f"a{number}" for number in range(150_000)),
        "open comment": _filled("<!--zoom.us"),
        "tables": _filled("<table>zoom. <tr>"),
        "scripts": _filled("<script>zoom. "),
        "spaces in angles": _filled("zoom.us <https:" + " " * 4_000 + ">\n"),
        "breaks in angles": _filled("zoom.us <https:" + " \n" * 2_000 + ">"),
        "escaped spaces": _joined(lambda number: f"https://zoom.us/j/{number}?tk=" + "%20" * 1_350 + "x"),
        "escaped spaces in links": _joined(lambda n: f"<a href=https://zoom.us/j/{n}?tk={'%20' * 1_350}x>x</a>"),
        "cut links": _joined(lambda number: f"{'y' * 40}zoom.us/j/{number}x\n" + "0a1\n" * 16),
        "wrapped links": _joined(lambda number: f"https://zoom.us/j/{number}?{'a' * 24}\n" + ("0" * 60 + "\n") * 16),
        "addresses in a word": _filled("https://zoom.us/j/1x;"),
        "colons": "zoom." + _filled("s:"),
        "quotation signs": _filled("zoom.us/j/1?pwd=3D=\n"),
        "bare equals signs": "zoom.us=\n" + _filled("a=3D=b"),
        "passcodes": _ZOOM.partition("?")[0] + "\n" + _filled("Passcode: (x Meeting ID: 812 3456 7891\n"),
        "passcode breaks": _ZOOM.partition("?")[0] + "\n" + _filled("Passcode:" + "\n" * 12),
        "numbers": "zoom.us/j/81234567890 " + _filled("8123456789 "),
        "labels in a host": _filled("zoom." * 1_600 + " "),
        "encoded layers": _filled("https://zoom.us/j/" + "%25" * 2_000 + " "),
        "open comments": _filled("<!--" + "zoom.us/j/1 " * 50),
        "open links": _filled("<a href='https://zoom.us/j/1 "),
        "launchers in a list": _filled("→".join(["http://teams.live.com/_#/_#/_#/_#/_#/_"] * 7) + "\n"),
        "readings in a list": _filled(";".join(["http://zoom.us/j/1é"] * 14) + "\n"),
        "distinct launchers": "\n".join(f"http://teams.live.com/_#/_#/_#/_#/_{n}é,{n}" for n in range(25_000)),
        "distinct launchers as links": "\n".join(
            f'<a href="http://teams.live.com/_#/_#/_#/_#/_#/_{n}">http://teams.live.com/_#/_#/_#/_#/_{n}é,{n}</a>'
            for n in range(10_000)
        ),
        "distinct gateways in layers": "\n".join(f"http://{'google.com/url?q=' * 6}{n}é;{n}" for n in range(9_000)),
        "escapes in a path": _filled(f"https://teams.microsoft.com/l/meetup-join/{'%25' * 2_650}/0 "),
        "long run of replaced characters": _filled(
            f"https://urldefense.com/v3/__https:/zoom.us/{'*' * 8_000}__;JSUl!! "
        ),
        "links to a meeting": _filled("<a href=https://zoom.us/j/1>"),
        "links beside pages": _filled("zoom.us/j/1<a href='//example.com'>x</a>"),
        "doubled schemes": _filled("https://https://zoom.us/j/1"),
        "hosts in a list": _filled("https://zoom.us,"),
        "quoted angles": _filled("> <https://zoom.us/j/1" + "\n> a" * 16 + "\n"),
        "words before passcodes": _ZOOM.partition("?")[0] + "\n" + _filled("zip " * 15 + "passcode: 123456\n"),
        "recordings": _ZOOM.partition("?")[0] + "\n" + _filled("recording zoom.us/rec/1 passcode: 1234\n"),
        "links in links": _filled("<a href=https://example.com>https://zoom.us/j/987654321 "),
    }


def _joined(piece: Callable[[int], str]) -> str:
    """A megabyte of different pieces, separated by lines."""
    size = len(piece(100_000_000)) + 1
    return "\n".join(piece(100_000_000 + number) for number in range(_MEGABYTE // size))


def _everywhere(text: str) -> dict[str, Any]:
    entry = {"entryPointType": "video", "uri": text}
    place = {"displayName": text, "locationUri": text}
    return {
        "conferenceData": {"entryPoints": [entry] * 300},
        "hangoutLink": text,
        "location": place,
        "locations": [{name: f"{number} {value}" for name, value in place.items()} for number in range(300)],
        "description": text,
        "summary": text,
        "subject": text,
        "onlineMeeting": {"joinUrl": text},
        "onlineMeetingUrl": text,
        "body": {"contentType": "html", "content": text},
    }


def _seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process, the best of a few rounds.

    The best round is the one that other work on the machine disturbed least.
    """
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def _find_all(events: list[_Event]) -> None:
    for _ in range(_REPEATS):
        for provider, event in events:
            find_meeting_link(provider, event)


def _worst_ms(text: str) -> float:
    events: list[_Event] = [(provider, _everywhere(text[:READ_WHOLE])) for provider in Provider]
    for body in (text, text[:READ_WHOLE]):
        events += [
            (Provider.GOOGLE, {"description": body}),
            (Provider.MICROSOFT, {"body": {"contentType": "html", "content": body}}),
            (Provider.MICROSOFT, {"body": {"contentType": "text", "content": body}}),
        ]
    return max(_milliseconds(event) for event in events)


def _milliseconds(event: _Event) -> float:
    return round(_seconds(lambda: find_meeting_link(*event)) * 1_000, 1)


def main() -> None:
    """Print the figures as JSON."""
    typical = _typical()
    hostile = {name: _worst_ms(text) for name, text in _hostile().items()}
    result = {
        "events_per_second": round(_REPEATS * len(typical) / _seconds(lambda: _find_all(typical))),
        "worst_ms": max(hostile.values()),
        "hostile_ms": hostile,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
