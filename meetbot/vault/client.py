"""The key management service: a key per tenant in the transit engine of OpenBao or Vault.

The tenant's key never leaves the service. Each secret gets its own 256-bit data key; the service hands it out in clear once,
together with its wrapped form, which is what we store. Secrets are sealed here with AES-256-GCM. Sealing needs only the right
to mint data keys, so the HTTP front can seal and never open.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import hvac
import requests
from cachetools import TTLCache
from hvac import exceptions as refused

from meetbot.errors import SecretUnreadable, VaultError, VaultUnavailable
from meetbot.outbound.failures import OutboundFailed
from meetbot.settings import Settings
from meetbot.vault.adapter import bounded_session
from meetbot.vault.guarded import Breaker
from meetbot.vault.sealing import DataKey, SealedSecret, SecretBinding, kek_name, open_with, seal_with

__all__ = [
    "AppRoleAuth",
    "DataKey",
    "SealedSecret",
    "SecretBinding",
    "TokenAuth",
    "Vault",
    "kek_name",
    "open_with",
    "seal_with",
    "vault_from_settings",
]

TRANSIT_MOUNT = "meetbot"
Result = TypeVar("Result")

_DATA_KEY_BYTES = 32
# With one retry a call ends within three seconds, however the service hangs.
_CONNECT_AND_READ_SECONDS = (0.5, 1.2)
_CACHE_SECONDS = 300.0
_NONSENSE = frozenset({"answer_too_large", "protocol_error"})
_CACHED_KEYS = 20_000
_WRAPPED_KEY = re.compile(r"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A token that is renewed elsewhere: by the operator's agent, or by the development stack."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppRoleAuth:
    """Credentials with which we log in ourselves, again whenever the token has expired."""

    role_id: str
    secret_id: str = field(repr=False)


def vault_from_settings(settings: Settings, *, breaker: Breaker | None = None) -> Vault:
    """Return the client of the configured key management service.

    Raises `VaultError` ``vault_not_configured`` without an address or credentials.
    """
    if settings.vault_addr is None:
        raise VaultError("vault_not_configured", "VAULT_ADDR is not set", next_step="set it or run `meetbot dev`")
    if settings.vault_token is not None:
        return Vault(settings.vault_addr, TokenAuth(settings.vault_token.get_secret_value()), breaker=breaker)
    if settings.vault_role_id is not None and settings.vault_secret_id is not None:
        return Vault(
            settings.vault_addr,
            AppRoleAuth(settings.vault_role_id, settings.vault_secret_id.get_secret_value()),
            breaker=breaker,
        )
    raise VaultError(
        "vault_not_configured",
        "neither a token nor an AppRole is set",
        next_step="set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID",
    )


class Vault:
    """Blocking client of the transit engine, safe to share between threads.

    Every call is bounded: 0.5 s to connect, 1.2 s to read, one retry with jitter on connection faults,
    timeouts and 5xx. Raises `VaultUnavailable` (try again), `SecretUnreadable`, and `VaultError`
    ``vault_denied`` (policy or token) or ``vault_refused`` (the request, such as a tenant without a key).

    Unwrapped data keys stay in memory for five minutes, so that a short outage of the service stops no sync. With a breaker,
    a longer one holds no threads: calls that need the service fail at once.
    """

    def __init__(
        self,
        address: str,
        auth: TokenAuth | AppRoleAuth,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: tuple[float, float] = _CONNECT_AND_READ_SECONDS,
        breaker: Breaker | None = None,
    ) -> None:
        self._breaker = breaker
        self._required: Callable[[], None] | None = None
        self._app_role = auth if isinstance(auth, AppRoleAuth) else None
        self._session = bounded_session()
        # An empty token, never None: hvac would go looking for one in the environment and the home directory.
        token = auth.token if isinstance(auth, TokenAuth) else ""
        self._client = hvac.Client(
            url=address, token=token, session=self._session, timeout=timeout, allow_redirects=False
        )
        self._login_lock = threading.Lock()
        self._keys: TTLCache[tuple[str, str], bytes] = TTLCache(_CACHED_KEYS, _CACHE_SECONDS, timer=clock)
        self._keys_lock = threading.Lock()

    def close(self) -> None:
        """Close the connections and drop all data keys from memory."""
        with self._keys_lock:
            self._keys.clear()
        self._session.close()

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a fresh 256-bit key, wrapped by the newest version of the tenant's key.

        No copy is kept here.
        """
        self.ensure_safe()
        name = kek_name(tenant_id)
        data = self._call(
            lambda: self._client.secrets.transit.generate_data_key(
                name=name, key_type="plaintext", mount_point=TRANSIT_MOUNT
            )
        )["data"]
        wrapped = str(data["ciphertext"])
        return DataKey(_decoded_key(data["plaintext"]), wrapped, name, version_of(wrapped))

    def seal(self, tenant_id: str, plaintext: bytes, binding: SecretBinding) -> SealedSecret:
        """Seal a secret with a data key of its own."""
        return seal_with(self.new_data_key(tenant_id), plaintext, binding)

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        """Return the secret in clear.

        It takes one round trip at most, and none while the data key is cached.
        """
        if binding.tenant_id != tenant_id or sealed.kek_name != kek_name(tenant_id):
            raise SecretUnreadable("secret_unreadable", "the sealed secret belongs to another tenant")
        return open_with(self._unwrapped(sealed), sealed, binding)

    def create_tenant_key(self, tenant_id: str) -> None:
        """Create the tenant's key; an existing one stays as it is. Needs the provisioner's rights."""
        name = kek_name(tenant_id)
        self._call(
            lambda: self._client.secrets.transit.create_key(
                name=name, key_type="aes256-gcm96", mount_point=TRANSIT_MOUNT
            )
        )

    def destroy_tenant_key(self, tenant_id: str) -> None:
        """Destroy the tenant's key for good; one that is gone already is no error.

        Needs the eraser's rights.
        """
        name, transit = kek_name(tenant_id), self._client.secrets.transit
        self.forget_tenant(tenant_id)
        try:
            self._call(
                lambda: transit.update_key_configuration(name=name, deletion_allowed=True, mount_point=TRANSIT_MOUNT)
            )
        except VaultError as error:
            # Only a missing key is refused here.
            if error.code != "vault_refused":
                raise
            return
        self._call(lambda: transit.delete_key(name=name, mount_point=TRANSIT_MOUNT))

    def forget(self, sealed: SealedSecret) -> None:
        """Drop the cached key of one secret, as an erasure must."""
        with self._keys_lock:
            self._keys.pop((sealed.kek_name, sealed.wrapped_key), None)

    def forget_tenant(self, tenant_id: str) -> None:
        """Drop the tenant's cached keys, as an erasure must."""
        name = kek_name(tenant_id)
        with self._keys_lock:
            for cached in [key for key in self._keys if key[0] == name]:
                self._keys.pop(cached, None)

    def require(self, check: Callable[[], None]) -> None:
        """Have this check succeed once before any key is asked for."""
        self._required = check

    def ensure_safe(self) -> None:
        """Run the required check, unless it has succeeded already. Raises `VaultError`."""
        check = self._required
        if check is not None:
            check()
            self._required = None

    def check(self) -> None:
        """Return if the service is unsealed and our credentials are good. Raises `VaultError`."""
        if self._call(self._client.sys.read_seal_status)["sealed"]:
            raise VaultUnavailable("vault_sealed", "the key management service is sealed", next_step="unseal it")
        self._call(self._client.auth.token.lookup_self)
        self.ensure_safe()

    def capabilities(self, paths: Sequence[str]) -> dict[str, list[str]]:
        """Return what our own token may do on each of these paths."""
        answer = self._call(lambda: self._client.sys.get_capabilities(paths=list(paths)))["data"]
        return {path: [str(capability) for capability in answer.get(path, ())] for path in paths}

    def audit_devices(self) -> list[str]:
        """Return the names of the service's audit devices. Needs the right to read ``sys/audit``."""
        return sorted(self._call(self._client.sys.list_enabled_audit_devices)["data"])

    def call(self, request: Callable[[Any], Any]) -> Any:
        """Make a request with the service's client, logged in and bounded. Raises `VaultError`."""
        return self._call(lambda: request(self._client))

    def _unwrapped(self, sealed: SealedSecret) -> bytes:
        cache_key = (sealed.kek_name, sealed.wrapped_key)
        with self._keys_lock:
            cached = self._keys.get(cache_key)
        if cached is not None:
            return cached
        self.ensure_safe()
        key = self._unwrap(sealed)
        with self._keys_lock:
            self._keys[cache_key] = key
        return key

    def _unwrap(self, sealed: SealedSecret) -> bytes:
        try:
            answer = self._call(
                lambda: self._client.secrets.transit.decrypt_data(
                    name=sealed.kek_name, ciphertext=sealed.wrapped_key, mount_point=TRANSIT_MOUNT
                )
            )
        except VaultError as error:
            if error.code != "vault_refused":
                raise
            raise SecretUnreadable("secret_unreadable", "the data key does not open with the tenant's key") from None
        return _decoded_key(answer["data"]["plaintext"])

    def _call(self, request: Callable[[], Any]) -> Any:
        if self._breaker is None:
            return self._logged_in_call(request)
        return self._breaker.run(lambda: self._logged_in_call(request))

    def _logged_in_call(self, request: Callable[[], Any]) -> Any:
        token = self._logged_in_token()
        try:
            return _translated(request)
        except VaultError as error:
            if error.code != "vault_denied" or self._app_role is None:
                raise
        # An expired token and a refusal by policy look alike: log in again once, then believe it.
        self._log_in_unless_done_meanwhile(token)
        return _translated(request)

    def _logged_in_token(self) -> str:
        if self._app_role is not None and not self._client.token:
            self._log_in_unless_done_meanwhile("")
        return str(self._client.token)

    def _log_in_unless_done_meanwhile(self, stale_token: str) -> None:
        role = self._app_role
        with self._login_lock:
            if role is None or self._client.token != stale_token:
                return
            try:
                _translated(lambda: self._client.auth.approle.login(role.role_id, role.secret_id))
            except VaultError as error:
                if error.code != "vault_refused":
                    raise
                raise VaultError("vault_denied", "the AppRole login was refused") from None


def _translated(request: Callable[[], Result]) -> Result:
    """Raise our errors for theirs.

    Theirs are not chained: a requests error carries the token in its request.
    """
    try:
        return request()
    except OutboundFailed as error:
        code = "vault_nonsense" if error.code in _NONSENSE else "vault_unreachable"
        raise VaultUnavailable(code, f"no answer ({error.code})") from None
    except requests.RequestException as error:
        raise VaultUnavailable("vault_unreachable", f"no answer ({type(error).__name__})") from None
    except (refused.Forbidden, refused.Unauthorized):
        raise VaultError("vault_denied", "permission denied", next_step="check the token and its policy") from None
    except (refused.InvalidRequest, refused.InvalidPath) as error:
        raise VaultError("vault_refused", f"the request was refused ({type(error).__name__})") from None
    except refused.VaultError as error:
        raise VaultUnavailable("vault_unavailable", f"it answered {type(error).__name__}") from None


def _decoded_key(encoded: object) -> bytes:
    try:
        key = base64.b64decode(str(encoded), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _DATA_KEY_BYTES:
        raise VaultUnavailable("vault_nonsense", "the answer holds no 256-bit data key")
    return key


def version_of(wrapped_key: str) -> int:
    """Return which version of the tenant's key has wrapped this data key."""
    match = _WRAPPED_KEY.fullmatch(wrapped_key)
    if match is None:
        raise VaultUnavailable("vault_nonsense", "the answer holds no wrapped data key")
    return int(match.group(1))
