"""What can be seen from outside of an OAuth app's registration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meetbot.calendars.oauth_app_checks import CheckName, SeenFromOutside, check_app
from meetbot.domain.event import Provider
from meetbot.storage.oauth_apps import ConsentSeen

NOW = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
GRANTED = frozenset({"calendar"})
SEEN = SeenFromOutside(
    Provider.GOOGLE, "https://own.example/callback", "invalid_grant", (), lambda scopes: GRANTED - scopes, NOW
)


def consent(age: timedelta, *, state: str = "active", lived: timedelta | None = None) -> ConsentSeen:
    consented_at = NOW - age
    error = "invalid_grant" if state == "needs_reconnect" else None
    return ConsentSeen(state, error, GRANTED, consented_at, consented_at + (lived or timedelta()))


def verdict(check: CheckName, seen: SeenFromOutside) -> bool | None:
    (found,) = (one for one in check_app(seen) if one.check is check)
    assert found.detail
    assert found.ok is not False or found.next_step
    return found.ok


@pytest.mark.parametrize(
    ("days", "minutes", "expected"),
    [(7, 0, False), (7, 90, False), (6, 23 * 60, None), (7, 6 * 60, None), (3, 0, None)],
)
def test_a_grant_that_died_at_seven_days_tells_of_testing(days: int, minutes: int, expected: bool | None) -> None:
    lived = timedelta(days=days, minutes=minutes)
    dead = consent(timedelta(days=9), state="needs_reconnect", lived=lived)
    assert verdict(CheckName.TESTING_MODE, replace(SEEN, consents=[dead])) is expected


def test_grants_that_were_put_down_to_testing_are_counted() -> None:
    """Whatever their age: the code was given when they ended."""
    dead = replace(consent(timedelta(days=30), state="needs_reconnect"), error_code="oauth_client_in_testing")
    (check,) = (one for one in check_app(replace(SEEN, consents=[dead, dead])) if one.check is CheckName.TESTING_MODE)
    assert check.ok is False
    assert check.detail.startswith("2 grants")


@pytest.mark.parametrize(("days", "expected"), [(8, True), (7, None), (1, None)])
def test_a_grant_that_lives_on_tells_of_a_published_app(days: int, expected: bool | None) -> None:
    assert verdict(CheckName.TESTING_MODE, replace(SEEN, consents=[consent(timedelta(days=days))])) is expected


def test_microsoft_has_no_testing_mode() -> None:
    assert verdict(CheckName.TESTING_MODE, replace(SEEN, provider=Provider.MICROSOFT)) is True


def test_scopes_are_judged_by_what_was_granted() -> None:
    good, poor = consent(timedelta(days=1)), replace(consent(timedelta(days=1)), scopes=frozenset())
    assert verdict(CheckName.SCOPES, SEEN) is None
    assert verdict(CheckName.SCOPES, replace(SEEN, consents=[good])) is True
    assert verdict(CheckName.SCOPES, replace(SEEN, consents=[good, poor])) is False


def test_an_address_that_somebody_came_back_by_is_registered() -> None:
    assert verdict(CheckName.REDIRECT_URI, SEEN) is None
    assert verdict(CheckName.REDIRECT_URI, replace(SEEN, consents=[consent(timedelta(days=1))])) is True
    assert verdict(CheckName.REDIRECT_URI, replace(SEEN, probe="redirect_uri_mismatch")) is False


@pytest.mark.parametrize(
    ("provider", "probe", "expected"),
    [
        (Provider.GOOGLE, "invalid_grant", True),
        (Provider.GOOGLE, "redirect_uri_mismatch", True),
        (Provider.GOOGLE, "oauth_app_refused", False),
        (Provider.GOOGLE, "secret_unreadable", False),
        (Provider.GOOGLE, None, None),
        (Provider.MICROSOFT, "redirect_uri_mismatch", None),
        (Provider.MICROSOFT, "invalid_request", None),
        (Provider.MICROSOFT, "login_unavailable", None),
    ],
)
def test_credentials_are_judged_by_the_token_endpoint(
    provider: Provider, probe: str | None, expected: bool | None
) -> None:
    assert verdict(CheckName.CREDENTIALS, replace(SEEN, provider=provider, probe=probe)) is expected


def test_a_verified_publisher_cannot_be_seen() -> None:
    for provider in Provider:
        assert verdict(CheckName.PUBLISHER, replace(SEEN, provider=provider)) is None
