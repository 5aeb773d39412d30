"""Read the passcode that an invitation states in words, for links that go without it.

A text states passcodes ("Passcode: 123456", "**Kenncode**: aB3dEf") and names meetings, by a link or by "Meeting ID: …".
A passcode belongs to the meeting named last before it; one that stands alone on its line before any meeting belongs to
the meeting named right after it, or to the only one that the event names. A wrong passcode is worse than none, so the
value has to look like a code, and the words before it must not say that it opens something else than a meeting.

Runs on UTF-8 bytes with google-re2, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import re2

from meetbot.links.html import DROPPED_LINK
from meetbot.links.platforms import GATEWAYS
from meetbot.links.prefilter import LINK_START, bytes_pattern

# Invitations state the passcode a few lines below the link, before the telephone numbers with codes of their own.
_NEAR = 1_500
_NEAR_ABOVE = 300


@dataclass(frozen=True, slots=True)
class _Statement:
    """A passcode that a text states: its value, its place, and whether its line has no more."""

    start: int
    end: int
    value: str
    is_alone: bool


@dataclass(frozen=True, slots=True)
class _Mention:
    """A place at which a text names a meeting: the one that is looked for, or another."""

    start: int
    end: int
    is_same: bool


def mentions_passcode(text: str) -> bool:
    """Return whether a text states anything as a passcode."""
    return _STATED.search(text.encode("utf-8", "ignore")) is not None


def passcode_in_text(text: str, meeting_id: str, is_only_meeting: bool = False) -> str | None:
    """Return the passcode that a text states for the meeting with this id, or None.

    `is_only_meeting`: the event names no other meeting, so that a passcode that names none belongs to it.
    """
    data = text.encode("utf-8", "ignore")
    stated = list(_statements(data))
    mentions = sorted(_mentions(data, meeting_id), key=lambda mention: mention.start) if stated else []
    passed = 0
    for statement in stated:
        while passed < len(mentions) and mentions[passed].start < statement.end:
            passed += 1
        before, after = mentions[max(0, passed - 1) : passed], mentions[passed : passed + 1]
        is_known = is_only_meeting and not mentions and _is_without_address(data, statement)
        if statement.value != meeting_id and (is_known or _is_of_the_meeting(statement, before, after)):
            return statement.value
    return None


def _is_without_address(data: bytes, statement: _Statement) -> bool:
    """Whether a passcode is alone on its line, and below no address that it could belong to."""
    return statement.is_alone and not _ADDRESS.search(data, max(0, statement.start - _NEAR), statement.start)


def _is_of_the_meeting(statement: _Statement, before: list[_Mention], after: list[_Mention]) -> bool:
    if before and statement.start - before[0].end <= _NEAR:
        return before[0].is_same
    is_above = bool(after) and after[0].is_same and after[0].start - statement.end <= _NEAR_ABOVE
    return is_above and statement.is_alone


# How a text names a meeting.

_MAX_MENTIONS = 1_000

_SLASH = r"(?:/|%2f)"
_LINK = bytes_pattern(
    rf"(?i){_SLASH}(?:j|w|s|my|meet|join|meetup-join){_SLASH}([^\x00-\x20/?#&<>\"%]*)"
    r"|(?:MTID|confno)(?:=|%3d)([A-Za-z0-9]*)|bluejeans\.com/([0-9]+)"
)
# A recording has a passcode of its own, on a platform or on any other site.
_RECORDING = bytes_pattern(
    rf"(?i){_SLASH}(?:rec|recordings?|recordingservice|[ln]sr\.php|ldr\.php|playback){_SLASH}?"
    r"|\brecordings?\b[^\r\n]{0,80}https?:"
)
_ADDRESS = re.compile(rb"(?i)https?:|www\.|" + DROPPED_LINK.encode())
_END_OF_LINK = re.compile(rb"[\x00-\x20<>\"]")
_LONGEST_LINK = 2_000
# A link whose end is not shown names the meeting that it leads to, and no other.
_ELLIPSES = (b"...", "…".encode())
# Some gateways write the host that their link leads to in clear, and the rest encoded.
_HINT = bytes_pattern(
    "(?i)(?:"
    + "|".join(
        rf"{re.escape(host)}/?\?{gateway.host_hint}="
        for host, gateways in GATEWAYS.items()
        for gateway in gateways
        if gateway.host_hint
    )
    + ")"
)
_LONGEST_HINT = 64
_NUMBER_IN_WORDS = bytes_pattern(
    r"(?i)(?:\bID|number|nummer|n(?:u|ú)mero|号|號)(?:[^\w\r\n]){0,6}([0-9][0-9 -]{7,17}[0-9])"
)


def _end_of_word(data: bytes, position: int) -> int:
    after = _END_OF_LINK.search(data, position, position + _LONGEST_LINK)
    return after.start() if after else min(len(data), position + _LONGEST_LINK)


def _names(found: bytes, wanted: bytes) -> bool:
    """Return whether this is the id, alone or with what URL Defense appends.

    Proofpoint's URL Defense writes a suffix behind an address.
    """
    return found == wanted or found.startswith(wanted + b"__;")


def _is_hint(data: bytes, start: int, end: int) -> bool:
    """Return whether a host is only the value of a gateway's `host_hint`."""
    return _HINT.search(data[max(0, start - _LONGEST_HINT) : end]) is not None


def _mentions(data: bytes, meeting_id: str) -> Iterator[_Mention]:
    wanted = meeting_id.encode()
    for host in islice(LINK_START.finditer(data), _MAX_MENTIONS):
        end = _end_of_word(data, host.end())
        if not data.endswith(_ELLIPSES, host.start(), end):
            is_same = wanted in data[host.start() : end] or _is_hint(data, host.start(), end)
            yield _Mention(host.start(), end, is_same)
    for link in islice(_LINK.finditer(data), _MAX_MENTIONS):
        if not data.endswith(_ELLIPSES, link.start(), _end_of_word(data, link.end())):
            yield _Mention(link.start(), link.end(), any(_names(found, wanted) for found in link.groups() if found))
    for recording in islice(_RECORDING.finditer(data), _MAX_MENTIONS):
        yield _Mention(recording.start(), recording.end(), False)
    yield from _numbers(data, meeting_id)


def _numbers(data: bytes, meeting_id: str) -> Iterator[_Mention]:
    if not meeting_id.isdecimal() or not meeting_id.isascii():
        return
    for number in islice(_NUMBER_IN_WORDS.finditer(data), _MAX_MENTIONS):
        if number[1].replace(b" ", b"").replace(b"-", b"") != meeting_id.encode():
            yield _Mention(number.start(), number.end(), False)
    same = bytes_pattern(f"(?:^|[^0-9]){'[ -]?'.join(meeting_id)}(?:[^0-9]|$)")
    for place in islice(same.finditer(data), _MAX_MENTIONS):
        yield _Mention(place.start(), place.end(), True)


# How a text states a passcode.

_MAX_STATEMENTS = 200

_PASSCODE = "|".join((
    "pass ?code", "password", "pwd", "kenncode", "kennwort", "passwort", "code secret",
    "mot de passe(?: de la r(?:e|é)union)?", "c(?:o|ó)digo de acceso", "contraseña(?: de la reuni(?:o|ó)n)?",
    "clave(?: de acceso)?", "password(?: della)? riunione", "senha(?: de acesso)?", "codice d(?:'|’)accesso",
    "(?:vergaderings?)?wachtwoord", "toegangscode", "(?:К|к)од доступа", "(?:П|п)ароль", "kod dostępu", "hasło",
    "パスコード", "パスワード", "密码", "密碼", "암호",
))  # fmt: skip
_EMPHASIS = "[*_]{0,2}"
_COLON = "(?::|：)"
_VERB = "[ \t](-|–|—|=|is|ist)[ \t]"
_OPENING_QUOTE = "(?:“|„|«|‘)?"
# In tables the value is in a cell of its own.
_BREAK = r"[ \t\r\n\x1f]"
_STATED = bytes_pattern(
    rf"(?i)(?:^|[^a-z?&/=%#])({_PASSCODE}){_EMPHASIS}[ \t]{{0,4}}(?:{_COLON}|{_VERB}){_EMPHASIS}"
    rf"({_BREAK}{{0,12}}){_OPENING_QUOTE}([!-~]{{1,64}})"
)

_WORDS_BEFORE = re.compile(rb"[A-Za-z&'( -]{0,60}$")
_LONGEST_PHRASE = 60
_OF_SOMETHING_ELSE = re.compile(
    rb"(?i)\b(?:phone|host|audio|dial|numeric|system|moderator|wi-?fi|wlan|door|recordings?|documents?|files?|zip|login"
    rb"|log in|sign in|account|admin)\b"
)
# The words before the passcode of a meeting. Any other word there (Zip, Dropbox, …) says that it opens something else.
_LAST_WORD = re.compile(rb"(?:^|[^!-~])([A-Za-z]+)[ -]$")
_OF_THE_MEETING = frozenset(
    b"a access and attendee besprechung besprechungs bluejeans by call conference das dein el enter entry event ihr join la "
    b"le meeting meetings new our participant personal private ringcentral room security session sitzung sitzungs su teams "
    b"the this und une use using video votre webex webinar with your zoom".split()
)

_OPENERS, _CLOSERS, _EMPHASIZERS = b"\"'`([{", b".,;:)]}>\"'`", b"*_"
_SHORTEST, _SHORTEST_IN_SENTENCE = 3, 4
_DIGIT = re.compile(rb"[0-9]")
_MIXED_CASE = re.compile(rb"(?=.{6})[^a-z]*[a-z].*[A-Z]")
_NO_PASSCODE = re.compile(
    # an address, a phone number, a label, a time, "1st", or a passcode that is hidden
    rb"(?i)[<+]|.*://|www\.|.*@.*\.|[^:]*:$|[0-9]{1,2}[:.][0-9]{2}(?![0-9])|[0-9]{4}-[0-9]{2}-[0-9]{2}$|[0-9]+(?:st|nd|rd|th)$"
    rb"|.*(?:\*\*\*|xxx)"
)
# Words that people write in place of a passcode, alone on the line.
_WORD_INSTEAD = re.compile(
    rb"(?i)(?:n/?a|none|no|nil|not|yes|on|off|tb[acd]|required|needed|optional|same|usual|unknown|pending|see|below|above|here"
    rb"|hidden|protected|disabled|enabled|attached|sent|e?mail(?:ed)?|provided|separately|default|standard|set|ask|please|will"
    rb"|request(?:ed)?|private|secret|confidential|siehe|unten|oben|keins?|ohne|folgt|voir|aucun|sans|ninguna?|nessuna?|geen)$"
)
_NUMBERS_BEHIND = re.compile(rb"(?: [0-9]{2,5}){1,3}(?![!-~])")
_NUMBER_BEHIND = re.compile(rb" [0-9]")
_MOST_DIGITS = 10
# Closing quotes, and what Webex writes for telephones: "(76957793 from phones)".
_REST_OF_LINE = re.compile(
    rb"(?:\xe2\x80[\x99\x9d]|\xc2\xbb)?[ \t\x1e)\]]{0,4}(?:\([^()\r\n\x1f]{0,80}\)[ \t.]{0,4})?(?:[\r\n\x1f]|$)"
)
_BEGINNING_OF_LINE = re.compile(rb"(?:^|[\r\n\x1f])[^\r\n\x1f:]*$")
_LONGEST_LABEL = 40


def _statements(data: bytes) -> Iterator[_Statement]:
    for found in islice(_STATED.finditer(data), _MAX_STATEMENTS):
        start = found.start(1)
        if _is_of_a_meeting(data[max(0, start - _LONGEST_PHRASE) : start]):
            value, end = _value(data, found)
            if value:
                yield _Statement(start, end, value.decode(), _is_alone(data, start, end))


def _is_of_a_meeting(before: bytes) -> bool:
    words = _WORDS_BEFORE.search(before)
    if words and _OF_SOMETHING_ELSE.search(words[0]):
        return False
    last = _LAST_WORD.search(before)
    return last is None or last[1].lower() in _OF_THE_MEETING


def _value(data: bytes, found: re2._Match[bytes]) -> tuple[bytes, int]:
    """The value without its quotes, and where it ends; an empty value if it is no code."""
    value, end = _without_quotes(found[4]), found.end()
    if value.isdigit() and _NUMBER_BEHIND.match(data, end):
        value, end = _number_in_groups(data, value, end)
    is_certain = found[2] is None and not found[3].strip(b" \t")
    is_last = _REST_OF_LINE.match(data, end) is not None
    return (value, end) if _is_code(value, is_certain, is_last) else (b"", end)


def _without_quotes(value: bytes) -> bytes:
    bare = value.lstrip(_EMPHASIZERS)
    if bare != value:
        bare = bare.rstrip(_CLOSERS + _EMPHASIZERS)
    return bare.lstrip(_OPENERS).rstrip(_CLOSERS)


def _number_in_groups(data: bytes, value: bytes, end: int) -> tuple[bytes, int]:
    """Return the number 123456 of "123 456", or an empty text if more follows on the line.

    What follows may give the number another meaning.
    """
    behind = _NUMBERS_BEHIND.match(data, end)
    if behind is None or not _REST_OF_LINE.match(data, behind.end()):
        return b"", end
    number = value + behind[0].replace(b" ", b"")
    return (number if len(number) <= _MOST_DIGITS else b""), behind.end()


def _is_code(value: bytes, is_certain: bool, is_last: bool) -> bool:
    """Return whether this is a code and no mere word.

    `is_certain`: it stands behind a colon on the same line; otherwise it has to look like a code itself. `is_last`:
    nothing follows on its line.
    """
    if len(value) < (_SHORTEST if is_last else _SHORTEST_IN_SENTENCE) or _NO_PASSCODE.match(value):
        return False
    if _DIGIT.search(value):
        return is_certain or is_last
    if not is_last:
        return False
    return _MIXED_CASE.match(value) is not None or (is_certain and not _WORD_INSTEAD.match(value))


def _is_alone(data: bytes, start: int, end: int) -> bool:
    label = _BEGINNING_OF_LINE.search(data, max(0, start - _LONGEST_LABEL), start)
    return label is not None and _REST_OF_LINE.match(data, end) is not None
