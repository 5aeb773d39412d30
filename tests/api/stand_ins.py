"""Stand-ins for what the front asks of others. They check what the real ones check."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from api.orchestrator import CheckAnswer
from meetbot.domain.account_calendar import OWN_CALENDARS, CalendarChoice
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Event, Provider
from meetbot.errors import ProviderError, ReconnectRequired, VaultUnavailable
from meetbot.outbound.exchange import Answer, Call
from meetbot.providers.base import Listing, OAuthClient, RawEvent, TokenGrant
from meetbot.providers.oauth import code_challenge_s256
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.temporal.calendar_messages import ANSWERED, CheckRequest, CheckResult
from meetbot.temporal.messages import CalendarUserSignal
from meetbot.vault.sealing import DataKey, kek_name

ALL_ANSWER = CheckResult(provider=ANSWERED, backend=ANSWERED)


@dataclass
class RecordingOrchestrator:
    """Keeps what it was told; ``is_up`` False stands for a Temporal that does not answer."""

    is_up: bool = True
    started: list[CalendarUserRef] = field(default_factory=list)
    signals: list[tuple[str, CalendarUserSignal]] = field(default_factory=list)
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    reported: list[tuple[str, str]] = field(default_factory=list)
    erasures: list[tuple[str, str, str]] = field(default_factory=list)
    exchanges: list[tuple[str, str, str]] = field(default_factory=list)
    probes: list[tuple[str, str]] = field(default_factory=list)
    probed: str | None = "invalid_grant"
    checks: list[CheckRequest] = field(default_factory=list)
    checked: CheckResult | None = ALL_ANSWER
    exchange: Callable[[str, str], None] = lambda tenant_id, exchange_id: None

    def reset(self) -> None:
        self.is_up, self.checked = True, ALL_ANSWER
        self.probed, self.exchange = "invalid_grant", lambda tenant_id, exchange_id: None
        for told in (
            self.started,
            self.signals,
            self.cancelled,
            self.reported,
            self.erasures,
            self.exchanges,
            self.probes,
            self.checks,
        ):
            told.clear()

    def start_calendar_user(self, user: CalendarUserRef) -> bool:
        self.started.append(user)
        return self.is_up

    def signal_calendar_user(self, user: CalendarUserRef, signal: CalendarUserSignal) -> bool:
        self.signals.append((user.id, signal))
        return self.is_up

    def signal_calendar_users(self, users: Iterable[CalendarUserRef], signal: CalendarUserSignal) -> bool:
        self.signals.extend((user.id, signal) for user in users)
        return self.is_up

    def start_erasure(self, tenant_id: str, erasure_id: str, calendar_user_id: str) -> bool:
        self.erasures.append((tenant_id, erasure_id, calendar_user_id))
        return self.is_up

    def exchange_code(self, tenant_id: str, exchange_id: str, provider: str) -> bool:
        self.exchanges.append((tenant_id, exchange_id, provider))
        if self.is_up:
            self.exchange(tenant_id, exchange_id)
        return self.is_up

    def probe_oauth_app(self, tenant_id: str, app_id: str) -> str | None:
        self.probes.append((tenant_id, app_id))
        return self.probed if self.is_up else None

    def check_calendar_user(self, request: CheckRequest) -> CheckAnswer:
        self.checks.append(request)
        return CheckAnswer(self.is_up, self.checked if self.is_up else None)

    def cancel_bot(self, tenant_id: str, meeting_key: str) -> bool:
        self.cancelled.append((tenant_id, meeting_key))
        return self.is_up

    def backend_reported(self, tenant_id: str, meeting_key: str) -> bool:
        self.reported.append((tenant_id, meeting_key))
        return self.is_up

    def check(self) -> bool:
        return self.is_up


@dataclass
class StandInVault:
    """A vault that hands out data keys and keeps them by their wrapped form.

    So a test can open what was sealed.
    """

    is_up: bool = True
    keys: dict[str, bytes] = field(default_factory=dict)

    def reset(self) -> None:
        self.is_up = True
        self.keys.clear()

    def new_data_key(self, tenant_id: str) -> DataKey:
        self.check()
        wrapped, plaintext = f"vault:v1:{secrets.token_hex(8)}", secrets.token_bytes(32)
        self.keys[wrapped] = plaintext
        return DataKey(plaintext=plaintext, wrapped_key=wrapped, kek_name=kek_name(tenant_id), kek_version=1)

    def check(self) -> None:
        if not self.is_up:
            raise VaultUnavailable("vault_unreachable", "stands still")


@dataclass
class Consent:
    """A person's account at the provider, and what they grant."""

    subject: str = "subject-1"
    email: str = "olga@own.com"
    refresh_token: str | None = "refresh-1"
    scopes: frozenset[str] = frozenset({"openid", "email", "calendar"})
    aliases: tuple[str, ...] = ()
    directory_id: str | None = None


@dataclass
class StandInProvider:
    """An authorization server that follows RFC 6749 and RFC 7636.

    A code works once, for its verifier, nonce and address.
    """

    name: Provider
    codes: dict[str, tuple[dict[str, str], Consent]] = field(default_factory=dict)
    failure: ProviderError | None = None
    exchanges: int = 0
    revoked: list[str] = field(default_factory=list)
    directories: dict[str, str] = field(default_factory=dict)

    def reset(self) -> None:
        self.codes.clear()
        self.directories.clear()
        self.revoked.clear()
        self.failure = None
        self.exchanges = 0

    def authorization_url(
        self,
        client: OAuthClient,
        *,
        redirect_uri: str,
        state: str,
        code_challenge: str,
        nonce: str,
        login_hint: str | None,
    ) -> str:
        asked = {
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": code_challenge,
            "nonce": nonce,
        }
        return f"https://accounts.google.com/o/oauth2/v2/auth?{urlencode(asked)}"

    def consent(self, authorization_url: str, consent: Consent | None = None) -> dict[str, str]:
        """A person agrees: the parameters that their browser brings to the callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        code = secrets.token_urlsafe(8)
        self.codes[code] = (asked, consent or Consent())
        return {"state": asked["state"], "code": code}

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant:
        self.exchanges += 1
        if self.failure is not None:
            raise self.failure
        asked, consent = self.codes.pop(code, ({}, Consent()))
        proven = asked.get("code_challenge") == code_challenge_s256(code_verifier)
        if not proven or asked["redirect_uri"] != redirect_uri or asked["nonce"] != nonce:
            raise ReconnectRequired("invalid_grant", "the code does not fit")
        return TokenGrant(
            access_token="access",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            refresh_token=consent.refresh_token,
            scopes=consent.scopes,
            subject=consent.subject,
            email=consent.email,
            aliases=consent.aliases,
            directory_id=consent.directory_id,
        )

    def admin_consent_url(
        self, client: OAuthClient, *, directory: str | None, redirect_uri: str, state: str
    ) -> str | None:
        if self.name is not Provider.MICROSOFT:
            return None
        asked = {"client_id": client.client_id, "redirect_uri": redirect_uri, "state": state}
        return f"https://login.microsoftonline.com/{directory or 'organizations'}/v2.0/adminconsent?{urlencode(asked)}"

    def directory_of(self, address: str | None, *, timeout_seconds: float) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.directories.get((address or "").rpartition("@")[2])

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        return frozenset({"calendar"}) - granted

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = 20.0) -> TokenGrant:
        raise AssertionError("the front never refreshes")

    def revoke(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = 20.0) -> Revocation:
        if self.failure is not None:
            raise self.failure
        self.revoked.append(refresh_token)
        return Revocation.REVOKED

    def list_events(
        self,
        access_token: str,
        *,
        window_start: datetime,
        window_end: datetime,
        granted: frozenset[str],
        choice: CalendarChoice = OWN_CALENDARS,
    ) -> Listing:
        raise AssertionError("the front never reads a calendar")

    def check_access(self, access_token: str, *, timeout_seconds: float) -> None:
        raise AssertionError("the front never reads a calendar")

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        raise AssertionError("the front never reads a calendar")

    @property
    def api_url(self) -> str:
        raise AssertionError("the front never reads a calendar")

    def event_call(self, access_token: str, *, calendar_id: str, provider_event_id: str) -> Call:
        raise AssertionError("the front never reads a calendar")

    def event_in(self, answer: Answer) -> RawEvent:
        raise AssertionError("the front never reads a calendar")

    def normalise(
        self,
        calendar_id: str,
        raw: dict[str, Any] | RawEvent,
        *,
        owner_email: str,
        owner_aliases: Collection[str] = (),
    ) -> Event | None:
        raise AssertionError("the front never reads a calendar")
