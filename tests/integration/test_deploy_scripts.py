"""The scripts that the compose file mounts, run against the real servers."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest

from meetbot.dev.account import installed_programs
from meetbot.dev.environment import free_port
from meetbot.dev.openbao import OpenBaoServer, openbao_program
from meetbot.dev.postgres import PostgresServer
from meetbot.dev.process import spawn, stop, wait_until_ready
from meetbot.dev.temporal import temporal_program
from meetbot.storage.migrate import upgrade
from meetbot.storage.roles import LOGINS, Role
from meetbot.vault.client import SecretBinding, TokenAuth, Vault
from meetbot.vault.setup import provision
from tests.certificates import Certificates, made_in
from tests.stack import running_postgres

pytestmark = pytest.mark.stack

DEPLOY = Path(__file__).parents[2] / "deploy"


def run_script(script: str, environment: Mapping[str, str], *, tools: Path) -> None:
    """Run a script with only its tools and the system's on the path, as in its image."""
    path = f"{tools}:/usr/local/bin:/usr/bin:/bin"
    subprocess.run(
        ["/bin/sh", DEPLOY / script], env={"PATH": path, **environment}, check=True, timeout=60, capture_output=True
    )


@dataclass(frozen=True, slots=True)
class OwnOpenBao:
    server: OpenBaoServer
    bootstrap_file: Path
    certificates: Certificates

    def initialise(self) -> None:
        environment = {
            "BAO_ADDR": self.server.address,
            "BAO_CACERT": str(self.certificates.authority),
            "BOOTSTRAP_FILE": str(self.bootstrap_file),
        }
        run_script("openbao/init.sh", environment, tools=openbao_program().parent)


@pytest.fixture
def openbao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnOpenBao]:
    """The deployed configuration with its TLS, and this machine's directories and ports."""
    port, data, certificates = free_port(), tmp_path / "file", made_in(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    data.mkdir()
    text = (DEPLOY / "openbao" / "openbao.hcl").read_text()
    text = text.replace('"/openbao/file"', f'"{data}"').replace("openbao:8", "127.0.0.1:8")
    text = text.replace('"/tls/', f'"{certificates.root}/openbao/')
    text = text.replace("0.0.0.0", "127.0.0.1").replace(":8200", f":{port}").replace(":8201", f":{free_port()}")
    configuration = tmp_path / "openbao.hcl"
    configuration.write_text(text)
    child = spawn(
        "openbao",
        [openbao_program(), "server", f"-config={configuration}"],
        logs=tmp_path / "logs",
        environment={"OPENBAO_SEAL_KEY": os.urandom(32).hex()},
    )
    address = f"https://127.0.0.1:{port}"
    try:
        wait_until_ready(child, lambda: health(address) is not None, seconds=30)
        yield OwnOpenBao(OpenBaoServer(child, address, tmp_path), tmp_path / "root.json", certificates)
    finally:
        stop(child)


def health(address: str) -> int | None:
    try:
        trust = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        return httpx.get(f"{address}/v1/sys/health", timeout=2, trust_env=False, verify=trust).status_code
    except httpx.HTTPError:
        return None


def test_openbao_is_initialised_once_and_can_then_be_provisioned(openbao: OwnOpenBao) -> None:
    openbao.initialise()
    first = openbao.bootstrap_file.read_bytes()
    openbao.initialise()
    assert openbao.bootstrap_file.read_bytes() == first
    assert stat.S_IMODE(openbao.bootstrap_file.stat().st_mode) == 0o600

    token = re.search(r'"root_token": "([^"]+)"', first.decode())
    assert token is not None
    wait_until_ready(openbao.server.child, lambda: health(openbao.server.address) == 200, seconds=30)
    credentials = provision(openbao.server.address, token.group(1))
    with closing(Vault(openbao.server.address, TokenAuth(credentials.provisioner_token))) as vault:
        vault.create_tenant_key("ten_a")
    with closing(Vault(openbao.server.address, TokenAuth(credentials.worker_token))) as vault:
        binding = SecretBinding("eu", "ten_a", "refresh_token", "cu_1")
        assert vault.open("ten_a", vault.seal("ten_a", b"secret", binding), binding) == b"secret"


def test_the_audit_log_names_the_key_and_shows_no_token(openbao: OwnOpenBao) -> None:
    openbao.initialise()
    token = re.findall(r'"root_token": "([^"]+)"', openbao.bootstrap_file.read_text())[0]
    wait_until_ready(openbao.server.child, lambda: health(openbao.server.address) == 200, seconds=30)
    credentials = provision(openbao.server.address, token)
    with closing(Vault(openbao.server.address, TokenAuth(credentials.provisioner_token))) as vault:
        vault.create_tenant_key("ten_audited")
    log = openbao.server.child.log_file.read_text()
    assert "meetbot/keys/tenant-ten_audited" in log
    assert token not in log
    assert credentials.provisioner_token not in log


def test_search_attributes_are_registered_once_however_often_the_script_runs(
    temporal_address: str,
) -> None:
    environment = {
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": "of-the-script",
        "RETENTION": "72h",
        "HOME": os.environ.get("HOME", "/"),
    }
    for _ in range(2):
        run_script("temporal/namespace.sh", environment, tools=temporal_program().parent)
    listed = subprocess.run(
        [temporal_program(), "operator", "search-attribute", "list", "--namespace", "of-the-script"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    for attribute in ("TenantId", "CalendarUserId", "CalendarProvider", "MeetbotState"):
        assert re.search(rf"\b{attribute}\s+Keyword\b", listed), listed


def test_the_database_roles_are_no_superusers_and_obey_row_level_security(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        _drop_the_embedded_servers_roles(server)
        password = "it's a 'quoted' one"
        parts = psycopg.conninfo.conninfo_to_dict(server.admin_url)
        run_script(
            "postgres/roles.sh",
            {
                "PGHOST": str(parts["host"]),
                "PGPORT": str(parts["port"]),
                "PGPASSWORD": str(parts["password"]),
                "POSTGRES_USER": "postgres",
                **{f"MEETBOT_{name}_PASSWORD": password for name in ("OWNER", "API", "WORKER", "RELAY", "DBA")},
                "TEMPORAL_DATABASE_PASSWORD": "another",
            },
            tools=installed_programs(),
        )
        address = f"postgresql://meetbot:{quote(password)}@{parts['host']}:{parts['port']}/meetbot"
        with psycopg.connect(address) as connection:
            roles = connection.execute(
                "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles"
                " WHERE rolname LIKE 'meetbot%%' OR rolname = 'temporal' ORDER BY rolname"
            ).fetchall()
        upgrade(address)
        with psycopg.connect(address.replace("//meetbot:", f"//{Role.API}:")) as connection:
            assert connection.execute("SELECT count(id) FROM bot").fetchone() == (0,)
    ours = [(login, False, False, False, False) for login in sorted(LOGINS)]
    assert roles == [*ours, ("temporal", False, False, True, False)]


def _drop_the_embedded_servers_roles(server: PostgresServer) -> None:
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE meetbot")
        connection.execute(f"DROP ROLE {', '.join(LOGINS)}".encode())


@pytest.mark.parametrize("script", sorted(path.name for path in DEPLOY.rglob("*.sh")))
def test_each_script_is_plain_posix_shell(script: str) -> None:
    (path,) = DEPLOY.rglob(script)
    shell = shutil.which("dash") or "/bin/sh"
    subprocess.run([shell, "-n", path], check=True, timeout=10)
