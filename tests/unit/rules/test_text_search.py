"""Folding and patterns, and that no pattern and no title takes more than its share."""

from __future__ import annotations

import pytest

from meetbot.domain.addresses import canonical_domain, is_calendar_domain, parse_address, rule_domain, rule_identity
from meetbot.rules.text_search import (
    LARGEST_PROGRAM,
    LARGEST_PROGRAMS_TOTAL,
    MOST_WORK,
    STEPS_OF_A_SEARCH,
    BadPattern,
    Searches,
    compile_pattern,
    fold,
    searchable,
)


def found(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).found_in(searchable(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("É", "e\u0301"), ("STRASSE", "straße"), ("ΟΔΟΣ", "οδος"), ("ﬁn", "FIN"), ("Å", "\u212b")],
)
def test_texts_that_read_alike_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)
    assert found(f"^{one}$", other)
    assert found(f"^{other}$", one)


def test_a_letter_that_folds_to_two_keeps_its_place_in_classes_and_quotes() -> None:
    assert found("[ß]", "ß")
    assert not found("^[ß]$", "ss")
    assert found(r"\Qß?\E", "ß?")
    assert found("ß{2}", "ssSS")


def test_an_anchor_is_the_end_of_the_text_not_of_a_line() -> None:
    assert not found("^a$", "a\n")
    assert found("(?m)^a$", "b\na")


@pytest.mark.parametrize("pattern", ["(?:.?){900}z", r"(?:\w{0,50}\s?){20}!", "a{1000}" * 28])
def test_a_pattern_that_compiles_to_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern, match="too large"):
        compile_pattern(pattern)


def searches_for(*patterns: str) -> Searches:
    searches = Searches()
    for pattern in patterns:
        searches.add(compile_pattern(pattern))
    return searches


@pytest.mark.parametrize("pattern", ["(a+)+$", r"^(\w+\s?)*$", "(a|aa)*b", "[ab]*a[ab]{150}c", ".{0,190}x", "(x*)*y"])
def test_the_searches_of_one_decision_are_bounded_by_patterns_and_text_together(pattern: str) -> None:
    steps = compile_pattern(pattern).plain.steps
    assert steps <= LARGEST_PROGRAM + STEPS_OF_A_SEARCH
    for times in (20, 40):
        longest = MOST_WORK // (times * steps)
        searches = searches_for(*[pattern] * times)
        assert searches.can_search(searchable("a" * longest))
        assert not searches.can_search(searchable("a" * (longest + 1)))


def test_three_rule_sets_at_their_limit_search_a_title_of_two_hundred_characters() -> None:
    pattern = "a[ab]{89}c"
    steps = compile_pattern(pattern).plain.steps
    searches = searches_for(*[pattern] * (3 * LARGEST_PROGRAMS_TOTAL // steps))
    assert searches.can_search(searchable("a" * 200))


def test_a_hundred_ordinary_patterns_search_a_title_of_four_hundred_characters() -> None:
    patterns = [f"a[ab]{{{repeated}}}c" for repeated in range(45, 95)] * 2
    assert 50 <= compile_pattern(patterns[0]).plain.steps - STEPS_OF_A_SEARCH <= 60
    assert searches_for(*patterns).can_search(searchable("a" * 400))


def test_the_marks_of_a_text_count_as_well() -> None:
    pattern = "(?:" + r"\b" * 30 + "ä|ö)+$"
    long_text = searchable("ä" * 4_000)
    compiled = compile_pattern(pattern)
    assert compiled.for_marked is not None
    marked = long_text[0].marked(compiled.marks)
    assert compiled.for_marked.steps * len(marked) > MOST_WORK
    assert not searches_for(pattern).can_search(long_text)


def test_the_work_of_marked_searches_is_what_they_will_be_given() -> None:
    pattern = r"\b\bärztin\b"
    compiled = compile_pattern(pattern)
    assert compiled.for_marked is not None
    letters = 1
    while searches_for(pattern).can_search(searchable("ä" * letters * 2)):
        letters *= 2
    fits, too_long = (searchable("ä" * number)[0].marked(compiled.marks) for number in (letters, letters * 2))
    assert compiled.for_marked.steps * len(fits) <= MOST_WORK < compiled.for_marked.steps * len(too_long)


def test_lone_surrogates_end_no_search() -> None:
    assert found("b", "\ud800b")


@pytest.mark.parametrize(
    ("raw", "identity", "domain"),
    [
        ("Ana@Acme.com", "ana@acme.com", "acme.com"),
        (" ana+x+y@acme.com. ", "ana@acme.com", "acme.com"),
        ("+x@acme.com", "+x@acme.com", "acme.com"),
        ("ana@MÜNCHEN.de", "ana@xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("JÖRG@acme.com", "jörg@acme.com", "acme.com"),
        ('"a@b"@acme.com', '"a@b"@acme.com', "acme.com"),
        ("printer", "printer", ""),
        ("", "", ""),
        ("a@", "a@", ""),
    ],
)
def test_an_address_is_an_identity_and_a_domain(raw: str, identity: str, domain: str) -> None:
    assert parse_address(raw) == (identity, domain)


@pytest.mark.parametrize("raw", ["straße.de", "STRAßE.de", "xn--strae-oqa.de", "XN--STRAE-OQA.DE", "straße。de"])
def test_every_spelling_of_a_domain_is_one(raw: str) -> None:
    assert canonical_domain(raw) == "xn--strae-oqa.de"


@pytest.mark.parametrize("raw", ["x\0.com", "\ud800.com", "-ü-.com", "ü" * 300, "ü..de", "ｘ\u200d.com"])
def test_what_idna_refuses_is_still_compared(raw: str) -> None:
    assert canonical_domain(raw) == canonical_domain(f" {raw.upper()} ".lower())
    assert canonical_domain(raw).encode()


@pytest.mark.parametrize(
    "text", ["customer.com", "@customer.com", "*.customer.com", " Customer.com. ", "*@customer.com"]
)
def test_a_rule_may_write_a_domain_in_several_ways(text: str) -> None:
    assert rule_domain(text) == "customer.com"


@pytest.mark.parametrize("text", ["", "@", "*", "a b", "a@b.c", "a..b", "x" * 64 + ".com", "http://x.com", "x.com/y"])
def test_a_rule_s_domain_must_be_one(text: str) -> None:
    assert rule_domain(text) is None


@pytest.mark.parametrize("text", ["", "ana", "@x.com", "ana@", "a@b c"])
def test_a_rule_s_address_must_be_one(text: str) -> None:
    assert rule_identity(text) is None


def test_google_s_calendar_addresses_are_told_on_a_dot_boundary() -> None:
    assert is_calendar_domain("group.calendar.google.com")
    assert not is_calendar_domain("evilcalendar.google.com")
    assert not is_calendar_domain("calendar.google.com.evil.org")
