"""Finds what a text states as a passcode in words, whosesoever it is: "Passcode: 123456", "**Kenncode**: aB3dEf".

A wrong passcode is worse than none, so that a value has to look like a code, and what stands before the word must not
say that it is the passcode of something else than a meeting. Runs on UTF-8 bytes with google-re2, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import re2

from meetbot.links.prefilter import bytes_pattern

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
# In tables the value stands in a cell of its own.
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
# What stands before the passcode of a meeting; other words there (Zip, Dropbox, …) name something else.
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
    # an address, a phone number, a label, a time, "1st", or what hides the passcode
    rb"(?i)[<+]|.*://|www\.|.*@.*\.|[^:]*:$|[0-9]{1,2}[:.][0-9]{2}(?![0-9])|[0-9]{4}-[0-9]{2}-[0-9]{2}$|[0-9]+(?:st|nd|rd|th)$"
    rb"|.*(?:\*\*\*|xxx)"
)
# What people write instead of a passcode, alone on its line.
_WORD_INSTEAD = re.compile(
    rb"(?i)(?:n/?a|none|no|nil|not|yes|on|off|tb[acd]|required|needed|optional|same|usual|unknown|pending|see|below|above|here"
    rb"|hidden|protected|disabled|enabled|attached|sent|e?mail(?:ed)?|provided|separately|default|standard|set|ask|please|will"
    rb"|request(?:ed)?|private|secret|confidential|siehe|unten|oben|keins?|ohne|folgt|voir|aucun|sans|ninguna?|nessuna?|geen)$"
)
_NUMBERS_BEHIND = re.compile(rb"(?: [0-9]{2,5}){1,3}(?![!-~])")
_NUMBER_BEHIND = re.compile(rb" [0-9]")
_MOST_DIGITS = 10
# Closing quotes, and what Webex says of telephones.
_REST_OF_LINE = re.compile(
    rb"(?:\xe2\x80[\x99\x9d]|\xc2\xbb)?[ \t\x1e)\]]{0,4}(?:\([^()\r\n\x1f]{0,80}\)[ \t.]{0,4})?(?:[\r\n\x1f]|$)"
)
_BEGINNING_OF_LINE = re.compile(rb"(?:^|[\r\n\x1f])[^\r\n\x1f:]*$")
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class Statement:
    """A passcode in words: its value, where it stands, and whether nothing else stands on its line."""

    start: int
    end: int
    value: str
    is_alone: bool


def states_one(text: str) -> bool:
    return _STATED.search(text.encode("utf-8", "ignore")) is not None


def statements(data: bytes) -> Iterator[Statement]:
    for found in islice(_STATED.finditer(data), _MAX_STATEMENTS):
        start = found.start(1)
        if _is_of_a_meeting(data[max(0, start - _LONGEST_PHRASE) : start]):
            value, end = _value(data, found)
            if value:
                yield Statement(start, end, value.decode(), _is_alone(data, start, end))


def _is_of_a_meeting(before: bytes) -> bool:
    words = _WORDS_BEFORE.search(before)
    if words and _OF_SOMETHING_ELSE.search(words[0]):
        return False
    last = _LAST_WORD.search(before)
    return last is None or last[1].lower() in _OF_THE_MEETING


def _value(data: bytes, found: re2._Match[bytes]) -> tuple[bytes, int]:
    """What is stated, without its quotes, and where it ends; nothing where that is no code."""
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
    """The number 123456 of "123 456"; where more follows on the line, who knows what is meant."""
    behind = _NUMBERS_BEHIND.match(data, end)
    if behind is None or not _REST_OF_LINE.match(data, behind.end()):
        return b"", end
    number = value + behind[0].replace(b" ", b"")
    return (number if len(number) <= _MOST_DIGITS else b""), behind.end()


def _is_code(value: bytes, is_certain: bool, is_last: bool) -> bool:
    """Whether this is no mere word. Behind a dash or verb, or on another line, it has to look like a code itself."""
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
