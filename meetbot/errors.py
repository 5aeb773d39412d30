"""Every error the library raises on purpose.

    MeetbotError
    ├── ConfigurationError      a setting is missing or unsafe; ``next_step`` says what to set
    ├── InvalidInput            what the caller sent cannot be used; carries one fault per place
    ├── ProviderError           Google or Microsoft (or their login) did not do what was asked
    │   ├── AccessTokenRejected the access token is expired or unknown: refresh once, try again
    │   ├── ReconnectRequired   only the end-user can mend it: connect again
    │   ├── OperatorRequired    only we or the tenant's operator can mend it: no user is disconnected
    │   ├── ResourceGone        the calendar or event is not there (any more), or no longer ours to see
    │   └── RetryLater          it will pass: throttled, down, unreachable, nonsense answer
    ├── BackendError            the bot backend did not do what was asked
    │   ├── BackendRefused      refused for good
    │   └── BackendUnavailable  try again
    └── VaultError              the key management service did not do what was asked
        ├── VaultUnavailable    sealed, frozen or unreachable: try again
        └── SecretUnreadable    the ciphertext does not open with this key and these bindings

Messages are for operators and never hold a secret, a token, a title, an address or a URL of an end-user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class MeetbotError(Exception):
    """Base of all errors.

    ``code`` is stable and machine-readable; ``next_step`` says what to do, empty if there is nothing to do but try again.
    """

    def __init__(self, code: str, detail: str, *, next_step: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.next_step = next_step


class ConfigurationError(MeetbotError):
    """A setting is missing, or is unsafe in production."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input.

    ``path`` is dotted, such as ``rules.2.when.all.0``.
    """

    path: str
    code: str
    message: str


class InvalidInput(MeetbotError):
    """The input cannot be used. ``faults`` has one entry per place."""

    def __init__(self, code: str, detail: str, faults: tuple[Fault, ...] = (), *, next_step: str = "") -> None:
        super().__init__(code, detail, next_step=next_step)
        self.faults = faults


class ProviderError(MeetbotError):
    """A provider or its login did not do what was asked."""


class AccessTokenRejected(ProviderError):
    """The access token is expired or unknown: refresh once and try again."""


class ReconnectRequired(ProviderError):
    """Only the end-user can mend it, by connecting again.

    ``token_version`` is that of the refresh token behind the refused request, None if it is not known: access was lost with
    this one, and not with any that was stored since.
    """

    token_version: int | None = None


class OperatorRequired(ProviderError):
    """Only we or the tenant's operator can mend it; no user is disconnected."""


class ResourceGone(ProviderError):
    """The calendar or event does not exist any more, or may not be read any more."""


class RetryLater(ProviderError):
    """It will pass: the provider throttles, is down or unreachable, or answered nonsense.

    ``retry_after`` is how long the provider asked us to wait, None if it did not say; ``whole_application`` whether it asked
    so for all of our requests.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after: timedelta | None = None,
        whole_application: bool = False,
        next_step: str = "",
    ) -> None:
        super().__init__(code, detail, next_step=next_step)
        self.retry_after = retry_after
        self.whole_application = whole_application


class BackendError(MeetbotError):
    """The bot backend did not do what was asked."""


class BackendRefused(BackendError):
    """The bot backend refused for good."""


class BackendUnavailable(BackendError):
    """The bot backend did not answer properly: try again.

    ``nothing_done`` is True if it surely did not act on the request; otherwise it may have, and its answer was lost.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after: timedelta | None = None,
        nothing_done: bool = False,
        next_step: str = "",
    ) -> None:
        super().__init__(code, detail, next_step=next_step)
        self.retry_after = retry_after
        self.nothing_done = nothing_done


class VaultError(MeetbotError):
    """The key management service did not do what was asked."""


class VaultUnavailable(VaultError):
    """The key management service is sealed or unreachable: try again."""


class SecretUnreadable(VaultError):
    """The ciphertext does not open with this key and this binding."""
