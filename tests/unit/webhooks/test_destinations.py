from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.settings import Network
from meetbot.webhooks.destinations import (
    DestinationRefused,
    check_destination,
    is_public,
    parse_destination,
    require_allowed,
)

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def code_of(url: str, allow: tuple[Network, ...] = ()) -> str:
    try:
        check_destination(url, allow)
    except DestinationRefused as error:
        return error.code
    return "allowed"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "https://example.com:443/hook",
        "https://example.com:8443/hook?key=a%20b",
        "https://example.com./hook",
        "https://xn--mnchen-3ya.de/",
        "https://münchen.de/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "HTTPS://Example.COM/",
    ],
)
def test_public_https_is_allowed(url: str) -> None:
    assert code_of(url) == "allowed"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.0.9",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::8.8.8.8]",
        "[64:ff9b:1::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::1]",
        "[3fff::1]",
        "[2620:4f:8000::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fec0::1]",
        "[ff02::1]",
        "127.0.0.1.",
        "１２７.0.0.1",
        "127。0。0。1",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_every_spelling(host: str) -> None:
    assert code_of(f"https://{host}/") in {"destination_not_allowed", "url_malformed"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "metadata.google.internal", "intranet"],
)
def test_a_name_of_an_inner_network_is_refused(host: str) -> None:
    assert code_of(f"https://{host}/") == "destination_not_allowed"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "url_scheme"),
        ("ftp://example.com/", "url_scheme"),
        ("file:///etc/passwd", "url_scheme"),
        ("example.com/hook", "url_scheme"),
        ("//example.com/hook", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("https://example.com:22/", "url_port"),
        ("https://example.com:80/", "url_port"),
        ("https://8.8.8.8:6379/", "url_port"),
        ("https://user@example.com/", "url_userinfo"),
        ("https://user:pass@example.com/", "url_userinfo"),
        ("https://example.com@127.0.0.1/", "url_userinfo"),
        ("", "url_scheme"),
        ("https://", "url_malformed"),
        ("https:///path", "url_malformed"),
        ("https://example.com:0/", "url_malformed"),
        ("https://example.com:65536/", "url_malformed"),
        ("https://example.com:port/", "url_malformed"),
        ("https://exam ple.com/", "url_malformed"),
        ("https://example.com/\r\nhost: x", "url_malformed"),
        ("https://example.com\\@127.0.0.1/", "url_malformed"),
        ("https://a..b.com/", "url_malformed"),
        ("https://-a.com/", "url_malformed"),
        ("https://" + "a" * 64 + ".com/", "url_malformed"),
        ("https://example.com/" + "a" * 2048, "url_malformed"),
        ("https://[::1/", "url_malformed"),
        ("https://%31%32%37.0.0.1/", "url_malformed"),
    ],
)
def test_each_refusal_has_its_code(url: str, code: str) -> None:
    assert code_of(url) == code


@pytest.mark.parametrize("url", ["http://127.0.0.1:9999/hook", "https://127.0.0.1/", "http://[::1]:8080/"])
def test_inside_the_operators_networks_plain_http_and_any_port_will_do(url: str) -> None:
    assert code_of(url, LOOPBACK) == "allowed"


def test_the_operators_networks_open_nothing_else() -> None:
    assert code_of("http://10.0.0.1/", LOOPBACK) == "destination_not_allowed"
    assert code_of("http://8.8.8.8/", LOOPBACK) == "url_scheme"
    assert code_of("https://8.8.8.8:9999/", LOOPBACK) == "url_port"


def test_a_name_over_http_may_lead_only_into_the_operators_networks() -> None:
    destination = check_destination("http://receiver:9999/", LOOPBACK)

    require_allowed(destination, [ipaddress.ip_address("127.0.0.1")], LOOPBACK)
    with pytest.raises(DestinationRefused, match="url_scheme"):
        require_allowed(destination, [ipaddress.ip_address("8.8.8.8")], LOOPBACK)


def test_one_inner_address_among_public_ones_spoils_all() -> None:
    destination = parse_destination("https://example.com/")
    mixed = [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.1")]

    with pytest.raises(DestinationRefused, match="destination_not_allowed"):
        require_allowed(destination, mixed, ())


def test_a_name_without_addresses_is_refused() -> None:
    with pytest.raises(DestinationRefused):
        require_allowed(parse_destination("https://example.com/"), [], ())


def test_a_scoped_address_is_not_public() -> None:
    assert not is_public(ipaddress.ip_address("2606:4700::1111%eth0"))


def test_what_was_judged_is_what_is_dialled() -> None:
    destination = parse_destination("https://Example.com:8443/a/b?c=d#fragment")

    assert (destination.scheme, destination.host, destination.port) == ("https", "example.com", 8443)
    assert destination.target == b"/a/b?c=d"


@given(st.text())
def test_any_text_is_taken_or_refused_and_never_fails(text: str) -> None:
    assert code_of(text) in {"allowed", "url_malformed", "url_scheme", "url_port", "url_userinfo"}


@given(st.ip_addresses())
def test_an_embedded_or_private_address_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
