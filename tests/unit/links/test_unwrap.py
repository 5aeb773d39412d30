"""Rewritten addresses, undone. Expected values follow the vendors' published encodings."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from meetbot.links.unwrap import NoTarget, unwrap
from meetbot.links.urls import Url

_ZOOM = "https://zoom.us/j/987654321"


def _target(text: str) -> str:
    target = unwrap(text)
    assert isinstance(target, Url)
    return f"{target.scheme}://{target.host}{target.path}" + (f"?{target.query}" if target.query else "")


def test_an_address_behind_no_gateway_stays() -> None:
    assert _target(f"{_ZOOM}?pwd=a") == f"{_ZOOM}?pwd=a"


@pytest.mark.parametrize(
    ("text", "original"),
    [
        pytest.param(
            # "JSU" is base64 of "%%"
            "https://urldefense.com/v3/__https://meet.jit.si/a*41b*42__;JSU!!x!y$",
            "https://meet.jit.si/a%41b%42",
            id="a star is one replaced character",
        ),
        pytest.param(
            # "IyMjIyM" is base64 of "#####": one, then a run of three (B), then one
            "https://urldefense.com/v3/__https://meet.jit.si/?a*b**Bc*__;IyMjIyM!!x!y$",
            "https://meet.jit.si/?a",
            id="two stars and a letter are a run",
        ),
        pytest.param(
            # "_" is the last of the 64 letters; the replaced characters are 65 times "%", in base64
            f"https://urldefense.us/v3/__https://meet.jit.si/**___;{'JSUl' * 21}JSU!!x$",
            "https://meet.jit.si/" + "%" * 65,
            id="the longest run has 65 characters",
        ),
        pytest.param(
            "https://urldefense.com/v3/__https://zoom.us/j/9876*54321**Z__;JQ!!x$",
            "https://zoom.us/j/9876%54321",
            id="more stars than replaced characters do no harm",
        ),
        pytest.param(
            "https://urldefense.proofpoint.com/v2/url?u=https-3A__zoom.us_j_1-3Fpwd-3Da-5Fb-2Dc&d=x",
            "https://zoom.us/j/1?pwd=a_b-c",
            id="the second edition writes - for % and _ for /",
        ),
    ],
)
def test_url_defense_is_undone(text: str, original: str) -> None:
    assert _target(text) == original


@pytest.mark.parametrize("padding", ["", "=", "%3D", "=="])
def test_base64_may_be_padded_or_not(padding: str) -> None:
    assert _target(f"https://eu.protection.sophos.com/?d=zoom.us&u=aHR0cHM6Ly96b29tLnVzL2ovMTIzNA{padding}&i=x") == (
        "https://zoom.us/j/1234"
    )


def test_only_the_parameter_of_the_original_counts() -> None:
    other = quote("https://meet.google.com/abc-defg-hij", safe="")
    text = f"https://a.safelinks.protection.outlook.com/?data={other}&url={quote(_ZOOM, safe='')}&url={other}"
    assert _target(text) == _ZOOM


def test_a_slash_at_the_end_is_no_segment() -> None:
    assert _target("https://secure-web.cisco.com/1abc/https%3A%2F%2Fzoom.us%2Fj%2F987654321/") == _ZOOM


def test_six_layers_are_the_most() -> None:
    text = _ZOOM
    for layers in range(1, 8):
        text = "https://www.google.com/url?q=" + quote(text, safe="")
        assert (unwrap(text) is NoTarget.OPAQUE) == (layers > 5)


@pytest.mark.parametrize(
    "text",
    [
        "https://protect-us.mimecast.com/s/AbCd?domain=zoom.us",
        "https://eu.protection.sophos.com/?d=zoom.us",
        "https://eu.protection.sophos.com/?u=%ff%fe",
        "https://eu.protection.sophos.com/?u=_w",
        "https://urldefense.com/v3/no-markers",
        "https://urldefense.com/v2/url?d=x",
        "https://a.safelinks.protection.outlook.com/",
        "https://secure-web.cisco.com/",
    ],
)
def test_what_cannot_be_read_is_opaque(text: str) -> None:
    assert unwrap(text) is NoTarget.OPAQUE


@pytest.mark.parametrize(
    "inner", ["javascript:alert(1)", "//user@zoom.us/j/1", "https://zoom.us\\@example.com", "tel:1"]
)
def test_an_address_behind_a_gateway_is_judged_like_any_other(inner: str) -> None:
    assert unwrap("https://www.google.com/url?q=" + quote(inner, safe="")) is NoTarget.NOT_AN_ADDRESS


def test_a_gateways_name_must_end_on_a_dot_boundary() -> None:
    assert _target("https://notlinkprotect.cudasvc.com/url?a=x") == "https://notlinkprotect.cudasvc.com/url?a=x"
