"""Idempotency-Key on POSTs that create.

A route that creates takes ``creation: Creation`` and ends with ``return creation.answer(201, caller, create)``, where
``create(session)`` does all its writing in the given transaction and returns the resource:

    @router.post("/things", status_code=201, responses=...)
    def create_thing(body: ThingRequest, caller: ..., creation: Creation) -> Thing:
        return creation.answer(201, caller, lambda session: add_thing(session, body))

What was written and the kept answer commit together, so a crash leaves both or none. The kept answer is encrypted with a
key that only the caller's API key and Idempotency-Key give: answers hold secrets that our database must not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlmodel import Session

from api.auth import Caller
from api.dependencies import ApiServices, InjectedServices
from api.problems import Problem, not_found
from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.idempotency import KeptAnswer, find_answer, keep_answer, try_lock
from meetbot.storage.waiting_users import find_waiting

_KEY_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_NONCE_BYTES = 12
REPLAYED_HEADER = "Idempotency-Replayed"


@dataclass(frozen=True, slots=True)
class CreatingRequest:
    """A POST that creates: its Idempotency-Key, and the fingerprint of what it asks for.

    ``calendar_user_id`` is the calendar user that its path names, if it does.
    """

    services: ApiServices
    key: str | None
    fingerprint: bytes
    calendar_user_id: str | None = None

    def answer(self, status: int, caller: Caller, create: Callable[[Session], BaseModel]) -> JSONResponse:
        """Create in one transaction, or give the answer that this key was given before."""
        with self.services.database.transaction(caller.tenant_id) as session:
            if self.key is None:
                return JSONResponse(create(session).model_dump(mode="json"), status_code=status)
            return self._answer_once(session, self.key, status, caller, create)

    def _answer_once(
        self, session: Session, key: str, status: int, caller: Caller, create: Callable[[Session], BaseModel]
    ) -> JSONResponse:
        if not try_lock(session, caller.tenant_id, key):
            raise Problem(409, "idempotency_key_in_flight", "a request with this key is under way; try again")
        kept = find_answer(session, caller.tenant_id, key)
        if kept is not None:
            if self._is_erased(session, caller):
                raise not_found("calendar_user")
            return self._replay(kept, key, caller)
        document = create(session).model_dump(mode="json")
        sealed = {"sealed": _seal(document, key, caller)}
        keep_answer(session, caller.tenant_id, key, KeptAnswer(self.fingerprint, status, sealed))
        return JSONResponse(document, status_code=status)

    def _is_erased(self, session: Session, caller: Caller) -> bool:
        """Whether the answer is about a calendar user that is gone since."""
        of_user, tenant_id = self.calendar_user_id, caller.tenant_id
        if of_user is None or find_calendar_user(session, tenant_id, of_user) is not None:
            return False
        return find_waiting(session, tenant_id, of_user, now=self.services.clock()) is None

    def _replay(self, kept: KeptAnswer, key: str, caller: Caller) -> JSONResponse:
        document = _open(kept.body["sealed"], key, caller) if kept.fingerprint == self.fingerprint else None
        if document is None:
            raise Problem(422, "idempotency_key_reused", "this key was used with another request")
        return JSONResponse(document, status_code=kept.status, headers={REPLAYED_HEADER: "true"})


async def _creating_request(
    request: Request,
    services: InjectedServices,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Repeat a request with the same key, and it is done once. Kept for 24 hours.", max_length=255
        ),
    ] = None,
) -> CreatingRequest:
    if idempotency_key is not None and not _KEY_FORM.fullmatch(idempotency_key):
        raise Problem(422, "invalid_idempotency_key", "1 to 255 visible ASCII characters")
    return CreatingRequest(
        services,
        idempotency_key,
        _fingerprint(request, await request.body()),
        request.path_params.get("calendar_user_id"),
    )


Creation = Annotated[CreatingRequest, Depends(_creating_request)]


def _fingerprint(request: Request, body: bytes) -> bytes:
    """Of what is asked for: two spellings of one JSON document are the same request."""
    canonical = json.dumps(json.loads(body), sort_keys=True).encode() if body.strip() else b""
    path = request.url.path.removeprefix("/api")
    digest = hashlib.sha256()
    for part in (request.method.encode(), path.encode(), request.url.query.encode(), canonical):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _seal(document: dict[str, Any], key: str, caller: Caller) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = _cipher(key, caller).encrypt(nonce, orjson.dumps(document), caller.tenant_id.encode())
    return base64.b64encode(nonce + ciphertext).decode("ascii")


def _open(sealed: str, key: str, caller: Caller) -> dict[str, Any] | None:
    """Return the answer, None if another API key sealed it."""
    raw = base64.b64decode(sealed)
    try:
        plaintext = _cipher(key, caller).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], caller.tenant_id.encode())
    except InvalidTag:
        return None
    document: dict[str, Any] = orjson.loads(plaintext)
    return document


def _cipher(key: str, caller: Caller) -> AESGCM:
    return AESGCM(hmac.digest(caller.api_key.encode(), f"idempotent answer {key}".encode(), "sha256"))
