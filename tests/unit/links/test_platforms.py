"""The table of platforms, whose rows are checked against each other.

It is data that anybody may extend.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import Any

import pytest

from meetbot.domain.event import Platform, Provider
from meetbot.links import find_meeting_link
from meetbot.links.platforms import GATEWAYS, PLATFORMS, platform_named
from meetbot.links.prefilter import KNOWN_LABEL, LINK_START

_TABLE: dict[str, Any] = tomllib.loads(resources.files("meetbot.links").joinpath("platforms.toml").read_text("utf-8"))
_HOSTS = sorted({host for row in _TABLE["platform"] for host in row["hosts"]})


def test_every_platform_has_a_row() -> None:
    assert {row["name"] for row in _TABLE["platform"]} == set(Platform) - {Platform.NONE}


def test_every_parameter_that_is_named_is_kept() -> None:
    for row in _TABLE["platform"]:
        for link in row["link"]:
            named = {link[key] for key in ("passcode", "full", "id_from") if key in link} - {"passcode"}
            assert named <= set(link.get("keep", []))


def test_no_host_secret_is_kept() -> None:
    kept = {name.lower() for row in _TABLE["platform"] for link in row["link"] for name in link.get("keep", [])}
    assert not kept & {"zak", "roomkey", "hostkey", "host_key"}


@pytest.mark.parametrize("host", _HOSTS)
def test_hosts_match_on_a_dot_boundary_only(host: str) -> None:
    name = host.removeprefix("*.")
    assert PLATFORMS.for_host(name)
    assert bool(PLATFORMS.for_host(f"acme.{name}")) == host.startswith("*.") or f"acme.{name}" in _HOSTS
    assert not PLATFORMS.for_host(f"evil{name}") or f"*.{name}" in _HOSTS
    assert not PLATFORMS.for_host(f"{name}.example.com")


def test_the_name_of_every_host_is_found() -> None:
    for name in (*PLATFORMS.names(), *GATEWAYS.names()):
        assert KNOWN_LABEL.search(f"https://{name}/".encode())


@pytest.mark.parametrize("slash", ["/", "%2F", "%252f", "_", "&#47;", "&#x2F;", "=2F"])
def test_every_shape_is_found_in_every_spelling_of_a_slash(slash: str) -> None:
    for row in _TABLE["platform"]:
        for host in row["hosts"]:
            for path in (path for link in row["link"] for path in link["paths"]):
                link = host.removeprefix("*.") + re.sub(r"\{\w+:\w+\}", "a1", path).replace("/", slash)
                assert LINK_START.search(link.encode()), link


@pytest.mark.parametrize(
    "page", ["zoom.us/rec/share/x", "zoom.us/u/kd", "teams.microsoft.com/l/channel/19", "zoom.us "]
)
def test_other_pages_are_no_reason_to_read_a_long_text(page: str) -> None:
    assert not LINK_START.search(page.encode())


def test_hosts_for_other_pages_are_left_out() -> None:
    assert find_meeting_link(Provider.GOOGLE, {"location": "https://scheduler.zoom.us/j/987654321"}) is None


def test_a_platform_that_is_not_in_the_contract_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"newvid.*add it to Platform in meetbot/domain/event\.py"):
        platform_named("newvid")
