"""How the client behaves towards a key management service that is slow, broken or confused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from meetbot.dev.environment import free_port
from meetbot.errors import VaultError, VaultUnavailable
from meetbot.outbound.failures import OutboundFailed
from meetbot.settings import Settings
from meetbot.vault.client import TokenAuth, Vault, vault_from_settings
from meetbot.vault.setup import prepare

TOKEN = "s.the-token-nobody-may-see"
DATA_KEY = {"data": {"plaintext": "A" * 43 + "=", "ciphertext": "vault:v7:d3JhcHBlZA=="}}
Answer = tuple[int, object]


@dataclass
class ScriptedService:
    """Answers with the scripted statuses one by one, the last one for ever; None never answers."""

    address: str = ""
    answers: list[Answer | None] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Answer | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    script = ScriptedService()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            script.requests.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = script.next_answer()
            if answer is None:
                script.closing.wait()
                return
            status, body = answer
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if 300 <= status < 400:
                self.send_header("Location", f"{script.address}/v1/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET = do_PUT = respond  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    script.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def vault(service: ScriptedService) -> Iterator[Vault]:
    with closing(Vault(service.address, TokenAuth(TOKEN), timeout=(0.5, 0.2))) as client:
        yield client


def error_of(call: Callable[[], object]) -> VaultError:
    with pytest.raises(VaultError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_service_that_recovers_at_the_one_retry_is_never_noticed(
    service: ScriptedService, vault: Vault, status: int
) -> None:
    service.answers = [(status, {}), (200, DATA_KEY)]
    assert vault.new_data_key("ten_a").kek_version == 7
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_service_is_unavailable_after_one_retry(service: ScriptedService, vault: Vault, status: int) -> None:
    service.answers = [(status, {"errors": ["down"]})]
    assert isinstance(error_of(lambda: vault.new_data_key("ten_a")), VaultUnavailable)
    assert len(service.requests) == 2


def test_a_frozen_service_is_unavailable_after_one_retry(service: ScriptedService, vault: Vault) -> None:
    service.answers = [None]
    assert error_of(lambda: vault.new_data_key("ten_a")).code == "vault_unreachable"
    assert len(service.requests) == 2


def test_a_service_that_does_not_run_is_unavailable() -> None:
    with closing(Vault(f"http://127.0.0.1:{free_port()}", TokenAuth(TOKEN))) as vault:
        assert error_of(vault.check).code == "vault_unreachable"


@pytest.mark.parametrize(("status", "code"), [(400, "vault_refused"), (403, "vault_denied"), (404, "vault_refused")])
def test_a_refusal_is_believed_at_once(service: ScriptedService, vault: Vault, status: int, code: str) -> None:
    service.answers = [(status, {"errors": ["no"]})]
    assert error_of(lambda: vault.new_data_key("ten_a")).code == code
    assert len(service.requests) == 1


def test_a_rate_limited_call_may_be_tried_again_later(service: ScriptedService, vault: Vault) -> None:
    service.answers = [(429, {"errors": ["too many"]})]
    assert isinstance(error_of(lambda: vault.new_data_key("ten_a")), VaultUnavailable)


@pytest.mark.parametrize(
    "data",
    [
        {"plaintext": "AAAA", "ciphertext": "vault:v1:eA=="},
        {"plaintext": "not base64!", "ciphertext": "vault:v1:eA=="},
        {"plaintext": "A" * 43 + "=", "ciphertext": "something else"},
    ],
    ids=["short key", "no base64", "no wrapped key"],
)
def test_nonsense_is_never_used_as_a_key(service: ScriptedService, vault: Vault, data: object) -> None:
    service.answers = [(200, {"data": data})]
    assert error_of(lambda: vault.new_data_key("ten_a")).code == "vault_nonsense"


def test_a_sealed_service_is_not_ready(service: ScriptedService, vault: Vault) -> None:
    service.answers = [(200, {"sealed": True})]
    assert error_of(vault.check).code == "vault_sealed"


@pytest.mark.parametrize("answer", [None, (400, {}), (403, {}), (500, {})], ids=str)
def test_no_error_shows_the_token(service: ScriptedService, vault: Vault, answer: Answer | None) -> None:
    service.answers = [answer]
    error = error_of(lambda: vault.new_data_key("ten_a"))
    assert TOKEN not in f"{error} {error!r} {error.detail} {error.next_step}"
    assert error.__suppress_context__


def test_the_text_of_credentials_hides_them() -> None:
    assert TOKEN not in repr(TokenAuth(TOKEN))


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "VAULT_ADDR"),
        ({"vault_addr": "http://127.0.0.1:1"}, "neither"),
        ({"vault_addr": "http://127.0.0.1:1", "vault_role_id": "role"}, "neither"),
    ],
)
def test_missing_credentials_are_named(variables: dict[str, str], says: str) -> None:
    unset = {"vault_addr": None, "vault_token": None, "vault_role_id": None, "vault_secret_id": None}
    settings = Settings.model_validate({**unset, **variables})
    with pytest.raises(VaultError, match=says) as caught:
        vault_from_settings(settings)
    assert caught.value.code == "vault_not_configured"


def test_the_client_knows_no_proxy_of_the_environment(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    service.answers = [(200, DATA_KEY)]
    with closing(Vault(service.address, TokenAuth(TOKEN))) as vault:
        assert vault.new_data_key("ten_1").kek_version == 7


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(service: ScriptedService, status: int) -> None:
    service.answers = [(status, {}), (200, DATA_KEY)]
    with closing(Vault(service.address, TokenAuth(TOKEN))) as vault, pytest.raises(VaultUnavailable):
        vault.new_data_key("ten_1")
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_administrators_token_follows_no_redirect(service: ScriptedService, status: int) -> None:
    service.answers = [(status, {}), (200, {"data": {}})]
    with pytest.raises(OutboundFailed):
        prepare(service.address, TOKEN)
    assert service.requests == ["/v1/sys/mounts"]


def test_an_administrators_token_goes_to_no_proxy(service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, service.address)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    service.answers = [(200, {"data": {}})]
    with pytest.raises(OutboundFailed):
        prepare(f"http://127.0.0.1:{free_port()}", TOKEN)
    assert service.requests == []
