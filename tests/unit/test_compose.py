"""Checks of the compose file that need no Docker."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import meetbot.temporal.search_attributes
from meetbot.dev import temporal as embedded_temporal
from meetbot.dev.account import installed_programs
from meetbot.dev.openbao import openbao_program
from meetbot.dev.temporal import temporal_program

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.temporal.yml"
ONE_SHOT = {"certificates", "temporal-schema", "temporal-namespace", "openbao-init"}
AUTHORITY = "authority:/trust:ro"
SERVERS = ("postgresql", "temporal", "openbao")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    """The Compose specification's own schema, as the check-jsonschema package carries it."""
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema: dict[str, Any] = json.loads(vendored.read_text())
    return schema


def test_the_file_follows_the_compose_specification(compose: dict[str, Any], specification: dict[str, Any]) -> None:
    jsonschema.validate(compose, specification)


def test_the_schema_refuses_a_misspelt_key(compose: dict[str, Any], specification: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(compose))
    broken["services"]["temporal"]["heathcheck"] = broken["services"]["temporal"].pop("healthcheck")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, specification)


def test_it_runs_temporal_its_ui_postgresql_and_openbao(compose: dict[str, Any]) -> None:
    images = {service["image"].split(":")[0] for service in compose["services"].values()}
    assert images == {
        "postgres",
        "temporalio/server",
        "temporalio/admin-tools",
        "temporalio/ui",
        "openbao/openbao",
    }


def test_every_image_has_an_exact_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?", service["image"]), name


def test_the_versions_are_those_the_tests_run_against(compose: dict[str, Any]) -> None:
    temporal = _version_text(temporal_program())
    pinned = {name: service["image"].split(":")[1] for name, service in compose["services"].items()}
    assert f"Server {pinned['temporal']}," in temporal
    assert f"UI {pinned['temporal-ui']})" in temporal
    assert {pinned["temporal-schema"], pinned["temporal-namespace"]} == {pinned["temporal"]}
    openbao = _version_text(openbao_program())
    assert f"v{pinned['openbao']} " in openbao
    assert pinned["openbao-init"] == pinned["openbao"]
    assert pinned["certificates"] == pinned["postgresql"]
    postgres = _version_text(installed_programs() / "postgres")
    assert postgres.split()[-1].split(".")[0] == pinned["postgresql"].split(".")[0]


def test_servers_have_health_checks_and_one_time_jobs_are_retried(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"].startswith("on-failure:"), name
        else:
            assert service["restart"] == "unless-stopped", name
            assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"]), name


def test_services_wait_for_those_they_need(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for other, wait in service.get("depends_on", {}).items():
            needed = compose["services"][other]
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in needed, (name, other)
            if wait["condition"] == "service_completed_successfully":
                assert other in ONE_SHOT, (name, other)


def test_every_mounted_file_and_volume_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), (name, source)
                assert mount.endswith(":ro"), (name, mount)
            else:
                assert source in compose["volumes"], (name, source)


def test_nothing_is_published_beyond_the_loopback_interface(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_secret_has_a_default_and_each_is_explained() -> None:
    text = COMPOSE_FILE.read_text()
    variables = set(re.findall(r"\$\{([A-Z_]+)", text))
    required = set(re.findall(r"\$\{([A-Z_]+):\?[^}]+\}", text))
    explained = set(re.findall(r"^([A-Z_]+)=$", (ROOT / "deploy" / "example.env").read_text(), re.MULTILINE))
    assert variables == required == explained


def test_the_state_of_every_server_is_on_a_volume(compose: dict[str, Any]) -> None:
    mounts = {name: service.get("volumes", []) for name, service in compose["services"].items()}
    assert "postgresql-data:/var/lib/postgresql" in mounts["postgresql"]
    assert "openbao-data:/openbao/file" in mounts["openbao"]
    assert 'path                   = "/openbao/file"' in (ROOT / "deploy/openbao/openbao.hcl").read_text()


def test_temporal_finds_a_dynamic_configuration_that_enables_fairness(
    compose: dict[str, Any],
) -> None:
    temporal = compose["services"]["temporal"]
    target = temporal["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    (source,) = [mount.split(":")[0] for mount in temporal["volumes"] if mount.split(":")[1] == target]
    dynamic = yaml.safe_load((ROOT / source).read_text())
    assert dynamic["matching.enableFairness"] == [{"value": True}]


def test_code_script_and_development_stack_have_the_same_search_attributes() -> None:
    used = [key.name for key in meetbot.temporal.search_attributes.SEARCH_ATTRIBUTES]
    script = (ROOT / "deploy" / "temporal" / "namespace.sh").read_text()
    registered = re.search(r"for attribute in (.+); do", script)
    assert registered is not None
    assert registered.group(1).split() == used == list(embedded_temporal.SEARCH_ATTRIBUTES)


def test_the_authoritys_key_is_seen_by_nothing_but_what_makes_certificates(compose: dict[str, Any]) -> None:
    assert _mounting(compose, "authority-key") == {"certificates"}


@pytest.mark.parametrize("server", SERVERS)
def test_a_servers_key_is_seen_by_that_server_alone(compose: dict[str, Any], server: str) -> None:
    assert _mounting(compose, f"{server}-certificate") == {"certificates", server}
    assert f"{server}-certificate:/tls:ro" in compose["services"][server]["volumes"]
    assert compose["services"]["certificates"]["volumes"].count(f"{server}-certificate:/tls/{server}") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_starts_once_its_certificate_is_made(compose: dict[str, Any], server: str) -> None:
    waits, before = set(), [server]
    while before:
        needed = compose["services"][before.pop()].get("depends_on", {})
        waits |= {(name, wait["condition"]) for name, wait in needed.items()}
        before += list(needed)
    assert ("certificates", "service_completed_successfully") in waits


def test_whoever_connects_knows_the_authority(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert name == "certificates" or AUTHORITY in service["volumes"], name


def test_no_address_between_the_servers_is_plain(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        assert not [value for value in environment.values() if value.startswith("http:")], name
        if "POSTGRES_SEEDS" in environment:
            assert (environment["SQL_TLS_ENABLED"], environment["SQL_HOST_VERIFICATION"]) == ("true", "true")
        if "SQL_HOST" in environment:
            assert environment["SQL_TLS"] == "true"
            assert "SQL_TLS_DISABLE_HOST_VERIFICATION" not in environment
        if "TEMPORAL_ADDRESS" in environment:
            checked = {"TEMPORAL_TLS": "true"}, {"TEMPORAL_TLS_ENABLE_HOST_VERIFICATION": "true"}
            assert any(one.items() <= environment.items() for one in checked), name
    assert "tls_disable" not in (ROOT / "deploy/openbao/openbao.hcl").read_text()


def test_postgresql_takes_connections_over_the_network_with_tls_only(compose: dict[str, Any]) -> None:
    postgresql = compose["services"]["postgresql"]
    assert "--ssl=on" in postgresql["command"]
    assert "--hba_file=/meetbot/pg_hba.conf" in postgresql["command"]
    assert "./deploy/postgres/pg_hba.conf:/meetbot/pg_hba.conf:ro" in postgresql["volumes"]
    lines = (ROOT / "deploy/postgres/pg_hba.conf").read_text().splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert {(rule[0], rule[-1]) for rule in rules} == {("local", "scram-sha-256"), ("hostssl", "scram-sha-256")}


def test_each_path_of_a_certificate_is_one_that_the_container_has(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        settings = [*service.get("environment", {}).values(), *service.get("command", [])]
        if name == "openbao":
            settings += (ROOT / "deploy/openbao/openbao.hcl").read_text().split()
        paths = {path for text in settings for path in re.findall(r"/(?:tls|trust)/[a-z.]+", text)}
        assert paths <= {"/tls/server.crt", "/tls/server.key", "/trust/ca.crt"}, name


def test_temporals_server_knows_each_variable_that_is_set_for_it(compose: dict[str, Any]) -> None:
    """Its image fills in a template that the program carries, and overlooks a misspelt variable."""
    names = [
        name for name in compose["services"]["temporal"]["environment"] if name.startswith(("SQL_", "TEMPORAL_TLS_"))
    ]
    assert len(names) == 12
    program = temporal_program().read_bytes()
    assert [name for name in names if f'(env "{name}")'.encode() not in program] == []


def _mounting(compose: dict[str, Any], volume: str) -> set[str]:
    mounts = {name: service.get("volumes", []) for name, service in compose["services"].items()}
    return {name for name, sources in mounts.items() if any(source.split(":")[0] == volume for source in sources)}


def _version_text(binary: Path) -> str:
    argument = "version" if binary.name == "bao" else "--version"
    return subprocess.run([binary, argument], capture_output=True, text=True, check=True, timeout=30).stdout
