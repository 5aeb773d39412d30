"""Links that other people's bots missed or opened wrongly, as their bug reports give them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from meetbot.domain.event import MeetingLink, Platform, Provider
from meetbot.links import find_meeting_link

ZOOM = "https://us06web.zoom.us/j/81234567890"
SECRET = "Ab1cD2efGh3iJ4klMn5oP6qrSt7uV8.1"
OLD_SECRET = "Ab1cD2efGh3iJ4klMn5oP609"
THREAD = "19:meeting_MjdhNjM4YzUtYzExZi00OTFkLTkzZTAtNTVlNmZmMDhkNGU2@thread.v2"
TENANT, ORGANIZER = "0d1a4e6c-0000-4000-8000-000000000001", "0d1a4e6c-0000-4000-8000-000000000002"
CONTEXT = f"%7b%22Tid%22%3a%22{TENANT}%22%2c%22Oid%22%3a%22{ORGANIZER}%22%7d"
MEETUP = f"/l/meetup-join/19%3ameeting_MjdhNjM4YzUtYzExZi00OTFkLTkzZTAtNTVlNmZmMDhkNGU2%40thread.v2/0?context={CONTEXT}"


def found(**event: Any) -> MeetingLink | None:
    return find_meeting_link(Provider.GOOGLE, event)


def url(**event: Any) -> str | None:
    link = found(**event)
    return link.url if link else None


# A broken secret never wins


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
@pytest.mark.parametrize("glued", ["12vfe3", "Passcode:", "654321"])
def test_a_secret_that_something_is_glued_to_is_cut_where_it_ends(secret: str, glued: str) -> None:
    link = found(location=f"{ZOOM}?pwd={secret}{glued}")
    assert link is not None
    assert (link.url, link.passcode) == (f"{ZOOM}?pwd={secret}", secret)


def test_a_longer_secret_of_a_known_form_is_not_cut() -> None:
    longer = "Ab1cD2efGh3iJ4klMn5oP609St7uV809"
    assert url(location=f"{ZOOM}?pwd={longer}") == f"{ZOOM}?pwd={longer}"


@pytest.mark.parametrize("secret", ["abc", "123456", "SomethingNew-Of-No-Known-Form-At-All-2027"])
def test_a_secret_of_another_form_stays_as_it_is(secret: str) -> None:
    assert url(location=f"{ZOOM}?pwd={secret}") == f"{ZOOM}?pwd={secret}"


@pytest.mark.parametrize("order", [("Ab1cD2ef", SECRET), (SECRET, "Ab1cD2ef")])
def test_of_a_cut_and_a_whole_secret_the_whole_one_counts(order: tuple[str, str]) -> None:
    text = "\n\n".join(f"Join: {ZOOM}?pwd={secret} now" for secret in order)
    assert url(description=text) == f"{ZOOM}?pwd={SECRET}"
    assert url(location=f"{ZOOM}?pwd={order[0]}", description=f"{ZOOM}?pwd={order[1]}") == f"{ZOOM}?pwd={SECRET}"


def test_a_cut_token_of_a_registrant_gives_way_to_the_whole_one() -> None:
    whole = "x" * 43 + ".AG" + "y" * 30
    text = f"{ZOOM.replace('/j/', '/w/')}?tk=xxxx\n\n{ZOOM.replace('/j/', '/w/')}?tk={whole}"
    assert url(description=text) == f"{ZOOM.replace('/j/', '/w/')}?tk={whole}"


def test_a_webex_meeting_that_something_is_glued_to_is_cut_where_its_id_ends() -> None:
    token = "m" + "0123456789abcdef" * 2
    link = found(location=f"https://acme.webex.com/acme/j.php?MTID={token}Passwort")
    assert link is not None
    assert link.url == f"https://acme.webex.com/acme/j.php?MTID={token}"
    assert link.meeting_id == token


# Join links not known


def coords(**changes: Any) -> str:
    body = {"conversationId": THREAD, "tenantId": TENANT, "organizerId": ORGANIZER, "messageId": "0"} | changes
    return base64.b64encode(json.dumps(body).encode()).decode()


def light(coordinates: str, host: str = "teams.microsoft.com") -> str:
    return (
        f"https://{host}/light-meetings/launch?agent=web&version=25072001100&coords={coordinates}&suppressPrompt=true"
    )


@pytest.mark.parametrize("host", ["teams.microsoft.com", "gov.teams.microsoft.us", "teams.cloud.microsoft"])
@pytest.mark.parametrize("escape", [False, True])
def test_a_light_meeting_is_the_meeting_of_its_coordinates(host: str, escape: bool) -> None:
    coordinates = coords().replace("=", "%3D") if escape else coords()
    link = found(location=light(coordinates, host))
    assert link is not None
    assert (link.platform, link.meeting_id) == (Platform.MICROSOFT_TEAMS, THREAD)
    assert link.url == f"https://{host}{MEETUP}"


def test_a_light_meeting_and_its_usual_link_are_one_meeting() -> None:
    text = f"{light(coords())}\n\nhttps://teams.microsoft.com{MEETUP}"
    assert url(description=text) == f"https://teams.microsoft.com{MEETUP}"


@pytest.mark.parametrize(
    "coordinates",
    [
        "",
        "!!!",
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b"{").decode(),
        coords(conversationId="19:evil/../x@thread.v2"),
        coords(conversationId=None),
        coords(conversationId=["19:x@thread.v2"]),
    ],
)
def test_coordinates_that_name_no_meeting_are_no_link(coordinates: str) -> None:
    assert url(location=light(coordinates)) is None


def test_coordinates_without_an_organiser_lead_to_the_meeting_without_a_context() -> None:
    link = found(location=light(coords(organizerId="x&y", messageId="7&z")))
    assert link is not None
    assert link.url == f"https://teams.microsoft.com{MEETUP.partition('?')[0]}"


@pytest.mark.parametrize("path", ["wc/81234567890/start", "wc/start/81234567890"])
def test_the_hosts_page_of_the_web_client_is_joined_as_a_guest(path: str) -> None:
    assert url(location=f"https://app.zoom.us/{path}?pwd={SECRET}&fromPWA=1") == (
        f"https://app.zoom.us/j/81234567890?pwd={SECRET}"
    )


@pytest.mark.parametrize("host", ["gov.teams.microsoft.us", "dod.teams.microsoft.us", "teams.microsoft.com"])
@pytest.mark.parametrize("slashes", [":/", "://"])
def test_an_app_link_keeps_the_host_that_it_names(host: str, slashes: str) -> None:
    assert url(description=f"msteams{slashes}{MEETUP[1:]}&fqdn={host}") == f"https://{host}{MEETUP}"


@pytest.mark.parametrize(
    "host", ["evil.example", "teams.microsoft.com.evil.example", "zoom.us", "teams.microsoft.com@x.example"]
)
def test_an_app_link_that_names_a_host_of_somebody_else_is_none(host: str) -> None:
    assert url(description=f"msteams:/{MEETUP[1:]}&fqdn={host}") is None


@pytest.mark.parametrize("suffix", ["mcas.ms", "mcas-gov.us", "mcas-gov.ms"])
def test_the_suffix_of_defender_for_cloud_apps_is_taken_off(suffix: str) -> None:
    assert url(location=f"https://teams.microsoft.com.{suffix}{MEETUP}") == f"https://teams.microsoft.com{MEETUP}"
    assert url(location=light(coords(), f"teams.microsoft.com.{suffix}")) == f"https://teams.microsoft.com{MEETUP}"


@pytest.mark.parametrize(
    "host",
    [
        "teams.microsoft.com.mcas.ms.evil.example",
        "teams.microsoft.com.evilmcas.ms",
        "evil.example.mcas.ms",
        "evil-teams.microsoft.com.mcas.ms",
        "teams.microsoft.com.x.mcas.ms",
        "mcas.ms",
        "teams.microsoft.com.mcas.ms.mcas.ms",
    ],
)
def test_a_lookalike_of_that_suffix_stays_untrusted(host: str) -> None:
    assert url(location=f"https://{host}{MEETUP}") is None
