"""Every error the library raises on purpose.

    MeetbotError
    ├── InvalidInput            what the caller sent cannot be used; carries one fault per place
    ├── ProviderError           Google or Microsoft (or their login) did not do what was asked
    │   ├── AccessTokenRejected the access token is expired or unknown: refresh once, try again
    │   ├── ReconnectRequired   only the end-user can mend it: connect again
    │   ├── OperatorRequired    only we or the tenant's operator can mend it: nobody is disconnected
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
    """Base of all. ``code`` is stable and machine-readable; ``next_step`` tells the reader what to do."""

    def __init__(self, code: str, detail: str, *, next_step: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: where (a dotted path such as ``rules.2.when.all.0``), a code, and why."""

    path: str
    code: str
    message: str


class InvalidInput(MeetbotError):
    def __init__(self, code: str, detail: str, faults: tuple[Fault, ...] = (), *, next_step: str = "") -> None:
        super().__init__(code, detail, next_step=next_step)
        self.faults = faults


class ProviderError(MeetbotError):
    pass


class AccessTokenRejected(ProviderError):
    pass


class ReconnectRequired(ProviderError):
    pass


class OperatorRequired(ProviderError):
    pass


class ResourceGone(ProviderError):
    pass


class RetryLater(ProviderError):
    """``retry_after`` is the provider's own wish, where it stated one."""

    def __init__(self, code: str, detail: str, *, retry_after: timedelta | None = None, next_step: str = "") -> None:
        super().__init__(code, detail, next_step=next_step)
        self.retry_after = retry_after


class BackendError(MeetbotError):
    pass


class BackendRefused(BackendError):
    pass


class BackendUnavailable(BackendError):
    """``nothing_done``: the backend surely did not act on the request; otherwise it may have, and its answer was lost."""

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
    pass


class VaultUnavailable(VaultError):
    pass


class SecretUnreadable(VaultError):
    pass
