from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from meetbot.webhooks.envelope import envelope
from meetbot.webhooks.signing import (
    meetbot_signature,
    new_secret,
    signed_headers,
    verify_meetbot_signature,
)

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = b'{"deliveryId":"dlv_1","data":{"title":"Caf\xc3\xa9"}}'


def now() -> datetime:
    return datetime.now(UTC)


def verifiers(secret: str) -> list[Any]:
    return [standardwebhooks.Webhook(secret), svix.webhooks.Webhook(secret)]


def verified_by_both(secret: str, headers: dict[str, str], body: bytes) -> bool:
    for verifier in verifiers(secret):
        try:
            verifier.verify(body, headers)
        except (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError):
            return False
    return True


def test_a_new_secret_holds_32_random_bytes_after_its_prefix() -> None:
    first, second = new_secret(), new_secret()

    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32
    assert first != second


def test_the_meetbot_signature_is_the_hmac_of_the_body_under_the_whole_secret() -> None:
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()

    assert meetbot_signature(SECRET, BODY) == f"sha256={expected}"


def test_the_meetbot_signature_matches_a_published_test_vector() -> None:
    # RFC 4231, test case 2.
    signature = meetbot_signature("Jefe", b"what do ya want for nothing?")

    assert signature == "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_signed_body_verifies() -> None:
    assert verify_meetbot_signature(SECRET, BODY, meetbot_signature(SECRET, BODY))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        meetbot_signature(SECRET, BODY).removeprefix("sha256="),
        meetbot_signature(SECRET, BODY)[:-1],
        meetbot_signature(SECRET, BODY).upper(),
        meetbot_signature(SECRET, BODY + b" "),
        meetbot_signature("another", BODY),
        "sha256=é",
        "sha256=\udcff",
    ],
)
def test_anything_but_the_signature_of_these_bytes_is_refused(header: str | None) -> None:
    assert not verify_meetbot_signature(SECRET, BODY, header)


def test_an_unset_secret_verifies_nothing() -> None:
    assert not verify_meetbot_signature("", BODY, meetbot_signature("", BODY))


def test_two_foreign_libraries_verify_the_standard_signature() -> None:
    headers = signed_headers([SECRET], "dlv_1", now(), BODY)

    assert verified_by_both(SECRET, headers, BODY)


def test_a_changed_body_does_not_verify() -> None:
    headers = signed_headers([SECRET], "dlv_1", now(), BODY)

    assert not verified_by_both(SECRET, headers, BODY.replace(b"dlv_1", b"dlv_2"))


def test_a_changed_id_does_not_verify() -> None:
    headers = signed_headers([SECRET], "dlv_1", now(), BODY)

    assert not verified_by_both(SECRET, {**headers, "webhook-id": "dlv_2"}, BODY)


def test_both_secrets_verify_during_a_rotation() -> None:
    newer, older = new_secret(), new_secret()
    headers = signed_headers([newer, older], "dlv_1", now(), BODY)

    assert verified_by_both(newer, headers, BODY)
    assert verified_by_both(older, headers, BODY)
    assert not verified_by_both(new_secret(), headers, BODY)


def test_during_a_rotation_the_meetbot_signature_is_made_with_the_newer_secret() -> None:
    newer, older = new_secret(), new_secret()
    headers = signed_headers([newer, older], "dlv_1", now(), BODY)

    assert verify_meetbot_signature(newer, BODY, headers["x-meetbot-signature"])
    assert not verify_meetbot_signature(older, BODY, headers["x-meetbot-signature"])


def test_an_instant_in_another_zone_is_signed_as_the_same_second() -> None:
    instant = now()
    elsewhere = instant.astimezone(timezone(timedelta(hours=2)))

    assert signed_headers([SECRET], "dlv_1", elsewhere, BODY) == signed_headers([SECRET], "dlv_1", instant, BODY)


def test_the_headers_name_the_envelopes_version() -> None:
    assert signed_headers([SECRET], "dlv_1", now(), BODY)["x-meetbot-webhook-version"] == "2"


@pytest.mark.parametrize("secrets", [[], ["no prefix"], ["whsec_not base64!"]])
def test_nothing_is_signed_without_a_proper_secret(secrets: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - base64 raises its own subclass
        signed_headers(secrets, "dlv_1", now(), BODY)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone-aware"):
        signed_headers([SECRET], "dlv_1", datetime(2026, 1, 1), BODY)  # noqa: DTZ001 - the fault under test


def test_the_envelope_is_version_2_with_utc_instants() -> None:
    emitted_at = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    assert json.loads(envelope("dlv_1", "bot.joined", emitted_at, 3, {"id": "bot_1"})) == {
        "deliveryId": "dlv_1",
        "event": "bot.joined",
        "emittedAt": "2026-03-01T09:00:00Z",
        "attempt": 3,
        "version": 2,
        "data": {"id": "bot_1"},
    }
