"""Signing and verifying webhooks over the exact bytes of the body. Pure.

Two schemes on one body, from one secret ``whsec_`` + base64 of 32 random bytes:

``x-meetbot-signature: sha256=<hex>``
    HMAC-SHA256 of the body. The key is the whole secret as shown, ``whsec_`` included, in UTF-8. While two secrets
    are valid it is made with the newer one: a receiver rotates by taking both until the older one ends.
``webhook-signature: v1,<base64> …``
    Standard Webhooks 1.0: HMAC-SHA256 of ``{webhook-id}.{webhook-timestamp}.{body}``. The key is what the base64
    after ``whsec_`` decodes to. One signature for each valid secret, the newest first.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

SIGNATURE_HEADER = "x-meetbot-signature"
VERSION_HEADER = "x-meetbot-webhook-version"
ENVELOPE_VERSION = 2
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of secrets

_SCHEME = "sha256="
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a fresh secret: 256 random bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def meetbot_signature(secret: str, body: bytes) -> str:
    """Return the value of ``x-meetbot-signature``."""
    return _SCHEME + hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()


def verify_meetbot_signature(secret: str, body: bytes, header: str | None) -> bool:
    """Return whether `header` signs exactly these bytes, in constant time."""
    if not secret or header is None:
        return False
    return hmac.compare_digest(
        meetbot_signature(secret, body).encode("ascii"), header.strip().encode("utf-8", "surrogatepass")
    )


def signed_headers(secrets_newest_first: Sequence[str], message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return all headers by which a receiver can verify the body.

    `now` is aware; whole seconds of it are signed. Raises ``ValueError`` without a secret, for a malformed one, and for a naive
    `now`.
    """
    if not secrets_newest_first:
        raise ValueError("a webhook needs at least one secret to be signed with")
    if now.tzinfo is None:
        raise ValueError("the instant of signing must be timezone-aware")
    timestamp = str(int(now.timestamp()))
    signatures = (_standard_signature(secret, message_id, timestamp, body) for secret in secrets_newest_first)
    return {
        SIGNATURE_HEADER: meetbot_signature(secrets_newest_first[0], body),
        VERSION_HEADER: str(ENVELOPE_VERSION),
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _standard_signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("a webhook secret begins with whsec_")
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
