"""The words of an erasure: its states, its steps, and how the revocation of a grant ended."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ErasureState(StrEnum):
    """State of an erasure.

    With `COMPLETED_WITH_EXCEPTIONS` its certificate says what could not be done.
    """

    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_EXCEPTIONS = "completed_with_exceptions"


class ErasureStep(StrEnum):
    """The steps of an erasure in their order; the certificate holds the instant of each."""

    DISCONNECTED = "disconnected"
    BOTS_WITHDRAWN = "bots_withdrawn"
    PUSH_STOPPED = "push_stopped"
    GRANT_SETTLED = "grant_settled"
    ROWS_DELETED = "rows_deleted"
    FINISHED = "finished"


class Revocation(StrEnum):
    """How the revocation of a grant at its provider ended.

    `PENDING` while it is tried. `REVOKED`: the provider says so. `ALREADY_ENDED`: it knew the token no more. `IN_USE`: another
    live connection of the same account needs the grant, which the provider can only end as a whole. The others are exceptions.
    """

    PENDING = "pending"
    REVOKED = "revoked"
    ALREADY_ENDED = "already_ended"
    IN_USE = "in_use"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    GIVEN_UP = "given_up"


class ErasedKind(StrEnum):
    """What an entry of the erasure ledger was."""

    CALENDAR_USER = "calendar_user"
    TENANT = "tenant"


EXCEPTIONS: Mapping[Revocation, str] = {
    Revocation.UNSUPPORTED: "Microsoft cannot end one application's access by a request: the token was destroyed here, and "
    "the user or an administrator can remove the application under https://myapplications.microsoft.com.",
    Revocation.UNREADABLE: "The stored token could not be opened any more, so the provider could not be asked: the user can "
    "remove the application in the settings of their account.",
    Revocation.GIVEN_UP: "The provider did not end the grant within seven days; the token was destroyed here, and the user can "
    "remove the application in the settings of their account.",
}
"""What a certificate says about a grant that may live on at its provider."""


def final_state(revocation: Revocation) -> ErasureState:
    """Return the state in which an erasure ends whose revocation ended so."""
    return ErasureState.COMPLETED_WITH_EXCEPTIONS if revocation in EXCEPTIONS else ErasureState.COMPLETED
