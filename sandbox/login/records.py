"""Consents, codes and tokens, as the sandbox keeps them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from sandbox.calendar.records import Provider


class RegisteredClient(BaseModel, extra="forbid"):
    """An OAuth client of a customer.

    ``redirect_uris`` empty: any address counts as registered. ``directory``: an application of one Microsoft directory only,
    which the login refuses under any other, ``common`` included. ``in_testing``: Google ends each grant seven days after the
    consent.
    """

    provider: Provider
    client_id: str
    client_secret: str
    redirect_uris: list[str] = []
    directory: str | None = None
    in_testing: bool = False


class GrantEnd(StrEnum):
    """Who ended a grant.

    `USER`: on the provider's page of connected applications. `ADMINISTRATOR`: who keeps the application out (Google), or
    revokes the user's sessions (Microsoft). `PASSWORD_RESET`: an administrator, in Microsoft's admin centre.
    """

    USER = "user"
    ADMINISTRATOR = "administrator"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password


class Grant(BaseModel, extra="forbid"):
    """One user's consent to one client; it is revoked as a whole.

    ``by_directory``: the user was not asked, since an administrator had approved. It ends with that approval.
    ``ended_by``: no refresh token of it works any more, while Microsoft's access tokens live on until they expire.
    """

    id: str
    account: str
    client_id: str
    scopes: list[str]
    by_directory: bool = False
    consented_at: datetime | None = None
    ended_by: GrantEnd | None = None


class AuthorizationCode(BaseModel, extra="forbid"):
    """An authorization code.

    ``challenge`` is PKCE's. ``offline``: the code also gives a refresh token.
    """

    grant: str
    client_id: str
    redirect_uri: str
    scopes: list[str]
    challenge: str | None
    nonce: str | None
    offline: bool
    expires_at: datetime
    used: bool = False


class AccessToken(BaseModel, extra="forbid"):
    """What an access token allows, and until when."""

    grant: str
    scopes: list[str]
    expires_at: datetime


class RefreshToken(BaseModel, extra="forbid"):
    """What a refresh token allows."""

    grant: str
    scopes: list[str]
    issued_at: datetime


class UserConsent(StrEnum):
    """Who may consent in a directory.

    `ADMIN_REQUEST`: as `ADMIN_ONLY`, and users may ask the administrators on Microsoft's own page.
    """

    ALLOWED = "allowed"
    ADMIN_ONLY = "admin_only"
    ADMIN_REQUEST = "admin_request"


class ConsentRequest(BaseModel, extra="forbid"):
    """What a user has asked the administrators for. ``approved`` None: nobody has answered yet."""

    account: str
    client_id: str
    scopes: list[str]
    why: str = ""
    approved: bool | None = None


class Directory(BaseModel, extra="forbid"):
    """A Microsoft directory, with the policy of its administrators.

    ``administrators`` are addresses, ``approvals`` the permissions that everybody has, by client. ``names_reason``: whoever
    goes back from the page that asks for an administrator brings the reason's number, else only `cancel`; both are reported.
    """

    id: str
    domain: str
    user_consent: UserConsent = UserConsent.ALLOWED
    administrators: list[str] = []
    names_reason: bool = True
    approvals: dict[str, list[str]] = {}
    requests: list[ConsentRequest] = []


class ConsentMode(StrEnum):
    """Whether a person is asked on a page or the sandbox answers for them."""

    ASK = "ask"
    AUTO = "auto"


class ConsentSettings(BaseModel, extra="forbid"):
    """How consent is given.

    ``auto`` answers without a page: for the account in `login_hint`, else for ``account``. ``withhold`` names scopes that the
    user unticks. ``error`` makes the answer an error instead.
    """

    mode: ConsentMode = ConsentMode.ASK
    account: str | None = None
    withhold: list[str] = []
    error: str | None = None
    error_description: str | None = None
