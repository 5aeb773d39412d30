"""Addresses that two programs could read differently are no addresses."""

from __future__ import annotations

import pytest

from meetbot.links.urls import decodings, parse_url, to_ascii


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zoom",
        "https://",
        "https://zoom.us@example.com/",
        "https://@zoom.us/",
        "https://zoom.us\\.example.com/",
        "https://zo om.us/",
        "https://zoom..us/",
        "https://-zoom.us/",
        "https://zoom.us./",
        "https://zo_om.us/",
        "https://zoom.us:/",
        "https://zoom.us:x/",
        "https://zoom%2eus/",
        "https://zoom。us/",
        "https://slac\u212a.com/",
        "https://zoom.us" + ".us" * 100 + "/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "ftp://zoom.us/",
        "javascript:zoom.us/j/1",
        "https://zoom.us/\x00",
        "https://zoom.us/" + "a" * 9_000,
    ],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    assert parse_url(text) is None


def test_the_parts_stay_as_written() -> None:
    url = parse_url("HTTPS://Zoom.US:443/J/%31?PWD=a%2Fb&x#frag")
    assert url
    assert (url.scheme, url.host, url.port, url.path, url.query, url.fragment) == (
        "https", "zoom.us", 443, "/J/%31", "PWD=a%2Fb&x", "frag",
    )  # fmt: skip
    assert url.parameters() == {"pwd": "a%2Fb"}


def test_a_scheme_may_be_missing() -> None:
    with_port = parse_url("zoom.us:443/j/1")
    assert with_port
    assert (with_port.scheme, with_port.host, with_port.port) == ("https", "zoom.us", 443)
    assert parse_url("//zoom.us/j/1") == parse_url("https://zoom.us/j/1") == parse_url("zoom.us/j/1")


def test_an_app_scheme_without_a_host_means_its_own() -> None:
    for text in ("msteams:/l/x", "msteams:l/x", "msteams://l/x", "msteams://teams.microsoft.com/l/x"):
        url = parse_url(text)
        assert url
        assert (url.host, url.path) == ("teams.microsoft.com", "/l/x")


@pytest.mark.parametrize(
    ("scheme", "port", "usual"), [("https", 443, True), ("http", 80, True), ("https", 80, False), ("http", 443, False)]
)
def test_a_scheme_has_one_usual_port(scheme: str, port: int, usual: bool) -> None:
    url = parse_url(f"{scheme}://zoom.us:{port}/")
    assert url
    assert url.has_usual_port() is usual


def test_the_first_of_two_values_counts_and_amp_is_part_of_no_name() -> None:
    url = parse_url("https://zoom.us/j/1?pwd=a&amp;tk=b&pwd=c")
    assert url
    assert url.parameters() == {"pwd": "a", "tk": "b"}


def test_escapes_are_kept_and_the_rest_escaped() -> None:
    assert to_ascii('%7b"ü <') == "%7b%22%C3%BC%20%3C"


def test_text_escaped_twice_has_two_decodings() -> None:
    assert list(decodings("%2541")) == [("%2541", "%41"), ("%41", "A")]


@pytest.mark.parametrize(
    "text", ["https://https://zoom.us/j/1", "http://https://zoom.us/j/1", "HTTPS://http://zoom.us/j/1"]
)
def test_a_scheme_written_twice_is_one(text: str) -> None:
    url = parse_url(text)
    assert url
    assert (url.host, url.path) == ("zoom.us", "/j/1")


@pytest.mark.parametrize(
    "text", ["https://https://https://zoom.us/j/1", "https://ftp://zoom.us/j/1", "https://x@https://zoom.us"]
)
def test_another_scheme_within_makes_it_no_address(text: str) -> None:
    assert parse_url(text) is None
