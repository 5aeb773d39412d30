"""The words for a calendar user that waits for an administrator."""

from __future__ import annotations

from enum import StrEnum


class WaitingDetail(StrEnum):
    """The ``state_detail`` of whoever cannot connect before an administrator agrees.

    `ADMIN_APPROVED`: a directory that may be the user's has agreed since, so it is time to connect again.
    """

    AWAITING_ADMIN = "awaiting_admin"
    ADMIN_APPROVED = "admin_approved"
