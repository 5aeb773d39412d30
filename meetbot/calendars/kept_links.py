"""Links that live for days: to an administrator, and back for whoever waits for one. Pure.

Both read ``{tenant id}.{id}.{MAC}``. The MAC is made with a random key of the row that the link is about, so the same link can
be shown again as long as the row lives, and dies with it.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

LIFETIME = timedelta(days=30)

_FORM = re.compile(r"([A-Za-z0-9_-]{1,64})\.((?:adc|cu)_[a-z2-7]{26})\.([A-Za-z0-9_-]{43})")


class KeptLink(StrEnum):
    """What a link is for; the value stands in its address."""

    ADMIN_CONSENT = "admin-consent"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class LinkClaim:
    """What the token of a link claims. Nothing is proved before `holds_for`."""

    tenant_id: str
    id: str
    mac: str = field(repr=False)

    def holds_for(self, kind: KeptLink, link_key: bytes) -> bool:
        """Return whether the row's key made the token for this kind of link, in constant time."""
        return hmac.compare_digest(_mac(kind, self.id, link_key), self.mac)


def new_link_key() -> bytes:
    """Return a fresh key for the links of one row: 256 random bits."""
    return secrets.token_bytes(32)


def kept_link(kind: KeptLink, public_url: str, tenant_id: str, row_id: str, link_key: bytes) -> str:
    """Return the address of a link about one row."""
    token = f"{tenant_id}.{row_id}.{_mac(kind, row_id, link_key)}"
    return f"{public_url.rstrip('/')}/v1/calendar/{kind}/{token}"


def read_kept_link(token: str) -> LinkClaim | None:
    """Return the claim in this text, None if it is no token of a link."""
    match = _FORM.fullmatch(token)
    return LinkClaim(*match.groups()) if match else None


def _mac(kind: KeptLink, row_id: str, link_key: bytes) -> str:
    raw = hmac.digest(link_key, f"{kind} {row_id}".encode(), "sha256")
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
