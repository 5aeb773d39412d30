"""What can be seen from outside of how far an OAuth app's registration is. Pure.

Sources: developers.google.com/identity/protocols/oauth2#expiration (seven days in testing);
learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from meetbot.calendars.oauth_clients import APP_REFUSED
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.connection_health import TESTING_CODE
from meetbot.domain.event import Provider
from meetbot.domain.testing_mode import LONGEST_LIFE, ended_as_in_testing
from meetbot.storage.oauth_apps import ConsentSeen

_TAKEN = "invalid_grant"
_OTHER_REDIRECT = "redirect_uri_mismatch"
_UNUSABLE = (APP_REFUSED, "secret_unreadable")


class CheckName(StrEnum):
    """What is checked."""

    CREDENTIALS = "credentials"
    REDIRECT_URI = "redirect_uri"
    SCOPES = "scopes"
    TESTING_MODE = "testing_mode"
    PUBLISHER = "publisher_verification"


@dataclass(frozen=True, slots=True)
class AppCheck:
    """One check; ``ok`` None: it cannot be seen, at least not yet."""

    check: CheckName
    ok: bool | None
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class SeenFromOutside:
    """What is known of an app.

    ``probe`` is the token endpoint's answer to a code that cannot be good, None if it gave none in time.
    """

    provider: Provider
    redirect_uri: str
    probe: str | None
    consents: Sequence[ConsentSeen]
    missing_scopes: Callable[[frozenset[str]], frozenset[str]]
    now: datetime


def check_app(seen: SeenFromOutside) -> list[AppCheck]:
    """Return all checks, in their order."""
    return [_credentials(seen), _redirect(seen), _scopes(seen), _testing(seen), _publisher(seen)]


def _credentials(seen: SeenFromOutside) -> AppCheck:
    name = CheckName.CREDENTIALS
    if seen.probe is None:
        return AppCheck(name, None, "No answer came in time.", "Ask again in a minute.")
    if seen.probe == _TAKEN or (seen.probe == _OTHER_REDIRECT and seen.provider is Provider.GOOGLE):
        return AppCheck(name, True, "The token endpoint takes the client.")
    if seen.probe in _UNUSABLE:
        return AppCheck(
            name,
            False,
            f"The client or its secret is refused ({seen.probe}).",
            "Compare the client id, make a new secret at the provider, and PUT the app with it.",
        )
    if seen.probe == "invalid_request" and seen.provider is Provider.MICROSOFT:
        return AppCheck(
            name,
            None,
            "The token endpoint refuses the request before it looks at the secret.",
            "If the application is registered for one directory only, PUT it with that `directory`.",
        )
    return AppCheck(name, None, f"The token endpoint's answer tells nothing ({seen.probe}).", "Ask again in a minute.")


def _redirect(seen: SeenFromOutside) -> AppCheck:
    name, register = CheckName.REDIRECT_URI, f"Register {seen.redirect_uri} at the provider."
    if seen.probe == _OTHER_REDIRECT:
        return AppCheck(name, False, "The redirect address is not registered for the client.", register)
    if seen.consents:
        return AppCheck(name, True, "Calendar users have come back by it.")
    return AppCheck(name, None, "The first connection will show it: the token endpoint said nothing of it.", register)


def _scopes(seen: SeenFromOutside) -> AppCheck:
    lacking = [missing for one in seen.consents if (missing := seen.missing_scopes(one.scopes))]
    if lacking:
        names = ", ".join(sorted(frozenset().union(*lacking)))
        return AppCheck(
            CheckName.SCOPES,
            False,
            f"{len(lacking)} of {len(seen.consents)} calendar users have not granted {names}.",
            "Add the scopes to the app's consent screen, and have these users connect again.",
        )
    if seen.consents:
        return AppCheck(CheckName.SCOPES, True, "All that have given their consent have granted what is needed.")
    return AppCheck(
        CheckName.SCOPES,
        None,
        "Nobody has given consent to this app yet.",
        "Connect a calendar of your own with it.",
    )


def _testing(seen: SeenFromOutside) -> AppCheck:
    name = CheckName.TESTING_MODE
    if seen.provider is Provider.MICROSOFT:
        return AppCheck(name, True, "Microsoft has no testing mode.")
    ended = sum(1 for one in seen.consents if _ended_like_in_testing(one))
    if ended:
        return AppCheck(
            name,
            False,
            f"{ended} grants have ended seven days after the consent, as Google ends those of an app in testing.",
            "Publish the app (Google Auth Platform, Audience, Publish app), and have these users connect again.",
        )
    if any(_is_older_than_testing(one, seen.now) for one in seen.consents):
        return AppCheck(name, True, "A grant has lived for more than seven days.")
    return AppCheck(
        name, None, "No grant is older than seven days yet, after which Google ends those of an app in testing."
    )


def _ended_like_in_testing(one: ConsentSeen) -> bool:
    if one.state != CalendarUserStatus.NEEDS_RECONNECT:
        return False
    if one.error_code == TESTING_CODE:
        return True
    ended = ended_as_in_testing(Provider.GOOGLE, consented_at=one.consented_at, ended_at=one.state_changed_at)
    return one.error_code == "invalid_grant" and ended


def _is_older_than_testing(one: ConsentSeen, now: datetime) -> bool:
    if one.state not in CONNECTED or one.consented_at is None:
        return False
    return now - one.consented_at > LONGEST_LIFE


def _publisher(seen: SeenFromOutside) -> AppCheck:
    if seen.provider is Provider.GOOGLE:
        where = "Look at the Verification Centre of the Google Auth Platform: brand and sensitive scopes."
    else:
        where = "Look at the application's Branding & properties in Entra: a verified publisher."
    return AppCheck(CheckName.PUBLISHER, None, "It cannot be seen from outside.", where)
