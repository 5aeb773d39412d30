"""Folding and patterns, and that no pattern and no title takes more than its share."""

from __future__ import annotations

import pytest

from meetbot.rules.addresses import canonical_domain, is_calendar_domain, parse_address, rule_domain, rule_identity
from meetbot.rules.text import LARGEST_PROGRAM, BadPattern, compile_pattern, fold, searchable


def found(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).found_in(searchable(text), undecided=False)


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


@pytest.mark.parametrize("pattern", ["(a+)+$", r"^(\w+\s?)*$", "(a|aa)*b", "[ab]*a[ab]{150}c", ".{0,190}x", "(x*)*y"])
def test_what_a_search_may_cost_is_bounded_by_pattern_and_text(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    program = compiled.plain
    assert program.size <= LARGEST_PROGRAM
    assert program.size * program.longest_text <= 20_000_000
    assert program.longest_text >= 5_000
    text = searchable("a" * (program.longest_text + 1))
    assert compiled.found_in(text, undecided=True)
    assert not compiled.found_in(text, undecided=False)


def test_a_text_with_many_marks_is_bounded_as_well() -> None:
    compiled = compile_pattern("(?:" + r"\b" * 30 + "ä|ö)+$")
    long_text = searchable("ä" * 4_000)
    assert compiled.for_marked is not None
    assert len(long_text[0].marked(compiled.marks)) > compiled.for_marked.longest_text
    assert compiled.found_in(long_text, undecided=True)
    assert not compiled.found_in(long_text, undecided=False)


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
