"""Words begin and end at their own letters, in any alphabet.

All else of a pattern stays as it was.
"""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from meetbot.rules.text_search import compile_pattern, searchable
from meetbot.rules.unicode_boundaries import rewritten


def found(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).found_in(searchable(text))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\b(arzt|ärztin)\b", "Ärztin Termin"),
        (r"\b(arzt|ärztin)\b", "Termin (ÄRZTIN)"),
        (r"\b(arzt|ärztin)\b", "Termin bei der A\u0308rztin"),
        (r"\bобед\b", "Обед с командой"),
        (r"\bγιατρός\b", "ραντεβού: ΓΙΑΤΡΌΣ"),
        (r"\bfrau\b.*\bärztin\b", "Frau Dr. Ärztin"),
        (r"\bstraße\b", "Straße 5"),
        (r"\bstraße\b", "Ü: STRASSE"),
        (r"\bstrasse\b", "Hauptstr., Straße"),
        (r"^\bärztin\b$", "ärztin"),
        (r"\b^ärztin$\b", "ärztin"),
        (r"\b\b\bärztin\b\b\b", "die ärztin"),
        (r"r\Bä", "für ärzte: Märärä"),
        (r"\b\pL+ \d+", "Größe 5"),
        (r"(?i)\bä(?-i:b)\b", "ein Äb"),
        (r"\b(?s:ä.b)\b", "ä\nb"),
        (r"(?m)\bé$", "é\nb"),
        (r"\bक्या\b", "यह क्या है"),
    ],
)
def test_a_word_is_found_by_its_own_edges(pattern: str, text: str) -> None:
    assert found(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\brzt\b", "ärzt"),
        (r"\bart\b", "Bärart"),
        (r"\bd\b", "dürr, Übel"),
        (r"\bärztin\b", "Zahnärztin"),
        (r"\bärztin\b", "Ärztinnen"),
        (r"ä\Br", "är für ä r"[2:]),
        (r"\bä.b\b", "ä\nb"),
        (r"^\bé$", "a\né"),
        (r"\bक\b", "यह क्या है"),
        (r"\b[^a]", "("),
        (r"^.\b.$", "ä"),
        (r"\b\W\B", "ä-ö"),
        (r"^\b[^x]{2}$", "ä"),
    ],
)
def test_a_part_of_a_word_is_no_word(pattern: str, text: str) -> None:
    assert not found(pattern, text)


@pytest.mark.parametrize("text", ["cat", "a cat!", "_cat", "cat9", "CAT\n", "concat"])
@pytest.mark.parametrize("pattern", [r"\bcat\b", r"\Bcat", r"cat\b$", r"(?:\b|_)cat"])
def test_in_ascii_a_pattern_means_what_re2_takes_it_for(pattern: str, text: str) -> None:
    options = re2.Options()
    options.case_sensitive = False
    assert found(pattern, text) == (re2.compile(pattern, options).search(text.encode()) is not None)


@pytest.mark.parametrize("pattern", ["arzt|ärztin", "^a$", r"\\[x]", r"[\w]+"])
def test_a_pattern_without_word_boundaries_stays_as_it_is(pattern: str) -> None:
    assert rewritten(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b\Qä+\E",
        r"\b\C",
        r"\b[\W_]",
        r"\b[[:^alpha:]]",
        r"\b[ -ÿ]",
        r"\b[\x00-\x{ff}]",
        r"\b\x{85}",
        r"\b\205",
        "\\b\x85",
        r"\b\pC",
        r"\b[\p{Cc}]",
        r"\b[\PL]",
        r"\b\p{Common}",
        r"(?:\bä?){2}",
        r"\b{2}ä",
    ],
)
def test_what_could_match_a_mark_is_left_to_re2(pattern: str) -> None:
    assert compile_pattern(pattern).for_marked is None


def test_a_pattern_that_would_grow_too_large_is_left_to_re2() -> None:
    assert compile_pattern(r"\b(?:.?){300}z").for_marked is None


def test_control_characters_in_a_text_are_no_marks() -> None:
    assert not found(r"\bä\b", "xäx\x90")
    assert found(r"\bä\b", "\x80ä\x80")


_CHARACTERS = st.sampled_from(
    ["a", "ä", "B", "Ö", "й", " ", "-", ".", "1", "[aä]", "[^a]", "[^ ä]", "[a-z]", r"[\]a]", r"\d", r"\\.", r"(?:ä|x)"]
)
_ASSERTIONS = st.sampled_from([r"\b", r"\B", "^", r"\A"])
_REPEATED = st.builds(str.__add__, _CHARACTERS, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}"]))
_SEQUENCES = st.lists(_REPEATED | _ASSERTIONS, min_size=1, max_size=5).map("".join)
_GROUPS = st.builds(
    "{}{}{}{}){}{}".format,
    _SEQUENCES,
    st.sampled_from(["(?:", "(", "(?s:", "(?m:", "(?i:"]),
    _SEQUENCES,
    st.sampled_from(["", r"|\bä", "|"]),
    st.sampled_from(["", "*", "+", "?"]),
    _SEQUENCES,
)
_TEXTS = st.text(st.sampled_from("aäbÖ -1йx_.\n"), max_size=8).map(lambda text: f"{text}é")


@given(_SEQUENCES | _GROUPS, _TEXTS)
def test_python_s_own_engine_agrees(pattern: str, text: str) -> None:
    # Its word boundaries know all letters; it takes no linear time.
    assert found(rf"{pattern}|\bwörd\b", text) == (re.search(pattern, text, re.IGNORECASE) is not None)
