"""The development stack: real servers, their state, and a supervisor that cleans up.

The supervisor is run as a process of its own. Sandbox, worker and API are one-page stand-ins found in its working
directory: what matters here is how it treats its children, not what they do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from meetbot.dev.process import AlreadyRunning, PartFailed, spawn, stop, wait_until_ready
from meetbot.dev.state import VaultRole, exclusive, is_held, load_running_environment

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0

SERVE_ONE_PAGE = """
    import http.server, sys
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/crash":
                import os
                print("the last output of this program", flush=True)
                os._exit(7)
            self.send_response(200)
            self.end_headers()
    def serve(port):
        http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()
"""
PROGRAMS = {
    "pages.py": SERVE_ONE_PAGE,
    "sandbox.py": """
        import sys, pages
        arguments = dict(argument.split("=", 1) for argument in sys.argv[1:])
        pages.serve(int(arguments["--port"]))
    """,
    "worker.py": """
        import json, os, pathlib, pages
        if __name__ == "__main__":
            pathlib.Path("worker-environment.json").write_text(json.dumps(dict(os.environ)))
            pages.serve(int(os.environ["MEETBOT_OPS_PORT"]))
    """,
    "api/__init__.py": "",
    "api/app.py": """
        import json, os, pathlib
        pathlib.Path("api-environment.json").write_text(json.dumps(dict(os.environ)))
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                while (message := await receive())["type"] == "lifespan.startup":
                    await send({"type": "lifespan.startup.complete"})
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
    """,
    "supervise.py": """
        import sys
        from pathlib import Path
        from meetbot.dev.command import run_dev
        from meetbot.dev.stack import DemoTenant

        def prepare(environment):
            assert environment.vault_tokens is not None
            return DemoTenant("ten_demo", "mb_test_of_the_demo_tenant")

        sys.exit(run_dev(Path(".meetbot"), prepare))
    """,
}


@dataclass
class Supervisor:
    process: subprocess.Popen[str]
    state: Path

    def children(self) -> dict[str, psutil.Process]:
        """The processes in its record; none before its first start."""
        record = self.state / "children.json"
        recorded = json.loads(record.read_text()) if record.exists() else []
        return {entry["name"]: psutil.Process(entry["pid"]) for entry in recorded}

    def running(self) -> dict[str, Any]:
        try:
            loaded: dict[str, Any] = json.loads((self.state / "dev.json").read_text())
        except FileNotFoundError:
            return {}
        return loaded

    def is_ready(self) -> bool:
        return self.running().get("supervisor") == self.process.pid

    def output(self) -> str:
        """Wait for its end and return all that it wrote."""
        return self.process.communicate(timeout=PATIENCE_SECONDS)[0]


def new_project(directory: Path) -> Path:
    for name, source in PROGRAMS.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(textwrap.dedent(source))
    return directory


def start(project: Path, **environment: str) -> Supervisor:
    unset = {"DATABASE_URL", "TEMPORAL_ADDRESS", "VAULT_ADDR", "VAULT_TOKEN"}
    process = subprocess.Popen(
        [sys.executable, "supervise.py"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name not in unset} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Supervisor(process, project / ".meetbot")


@contextmanager
def starting_stack(project: Path, **environment: str) -> Iterator[Supervisor]:
    supervisor = start(project, **environment)
    try:
        yield supervisor
    finally:
        supervisor.process.terminate()
        supervisor.output()


@contextmanager
def running_stack(project: Path, **environment: str) -> Iterator[Supervisor]:
    with starting_stack(project, **environment) as supervisor:
        eventually(lambda: supervisor.is_ready() or supervisor.process.poll() is not None)
        assert supervisor.process.poll() is None, supervisor.output()
        yield supervisor


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.05)


def all_gone(children: dict[str, psutil.Process]) -> bool:
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children.values())


@dataclass(frozen=True)
class FinishedRun:
    children: dict[str, psutil.Process]
    running: dict[str, Any]
    exit_code: int
    output: str


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def other_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_project(tmp_path_factory.mktemp("other-project"))


@pytest.fixture(scope="module")
def first_run(project: Path) -> FinishedRun:
    """A stack that started, got a row into its database, and was stopped by Ctrl-C."""
    with running_stack(project) as supervisor:
        children, running = supervisor.children(), supervisor.running()
        with psycopg.connect(running["environment"]["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 'kept' AS word")
        supervisor.process.send_signal(signal.SIGINT)
        output = supervisor.output()
        return FinishedRun(children, running, supervisor.process.returncode, output)


@pytest.fixture(scope="module")
def second_run(project: Path, first_run: FinishedRun) -> Iterator[Supervisor]:
    """The same stack, started again and running."""
    with running_stack(project) as supervisor:
        yield supervisor


def test_control_c_stops_every_child_and_exits_with_zero(first_run: FinishedRun) -> None:
    assert set(first_run.children) == {"postgres", "openbao", "temporal", "sandbox", "worker", "api"}
    assert first_run.exit_code == 0, first_run.output
    assert all_gone(first_run.children)
    assert "Everything has stopped." in first_run.output


def test_the_addresses_and_the_demo_key_are_printed(first_run: FinishedRun) -> None:
    addresses = first_run.running["addresses"]
    for expected in (
        f"{addresses['public_url']}/docs",
        addresses["temporal_ui_url"],
        addresses["sandbox_url"],
        "mb_test_of_the_demo_tenant",
        "curl -s",
    ):
        assert expected in first_run.output


def test_the_state_survives_a_restart(first_run: FinishedRun, second_run: Supervisor) -> None:
    before, after = first_run.running, second_run.running()
    with psycopg.connect(after["environment"]["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("kept",)
    lookup = httpx.get(
        f"{after['addresses']['vault_address']}/v1/auth/token/lookup-self",
        headers={"X-Vault-Token": before["vault_tokens"]["worker_token"]},
        trust_env=False,
    )
    assert lookup.status_code == 200
    for shared in ("MEETBOT_BACKEND_API_KEY", "MEETBOT_BACKEND_WEBHOOK_SECRET"):
        assert before["environment"][shared] == after["environment"][shared]


def test_another_command_finds_the_running_stack(second_run: Supervisor) -> None:
    environment = load_running_environment(second_run.state)
    assert environment is not None
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("meetbot",)
    tokens = second_run.running()["vault_tokens"]
    assert environment["VAULT_TOKEN"] == tokens["provisioner_token"]
    eraser = load_running_environment(second_run.state, VaultRole.ERASER)
    assert eraser == environment | {"VAULT_TOKEN": tokens["eraser_token"]}


def test_only_the_owner_can_read_files_with_secrets(second_run: Supervisor) -> None:
    assert second_run.state.stat().st_mode & 0o077 == 0
    for name in ("dev.json", "secrets.json", "openbao/root.json", "openbao/seal.key", "postgres/passwords.json"):
        assert (second_run.state / name).stat().st_mode & 0o077 == 0, name


def test_the_worker_gets_its_own_vault_rights_and_a_port_of_its_own(project: Path, second_run: Supervisor) -> None:
    running = second_run.running()
    worker = json.loads((project / "worker-environment.json").read_text())
    assert worker["VAULT_TOKEN"] == running["vault_tokens"]["worker_token"]
    assert worker["MEETBOT_OPS_PORT"] != running["environment"]["MEETBOT_OPS_PORT"]


def test_worker_and_api_log_in_to_the_database_each_as_itself(project: Path, second_run: Supervisor) -> None:
    for program in ("worker", "api"):
        environment = json.loads((project / f"{program}-environment.json").read_text())
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (f"meetbot_{program}",)


def test_a_second_supervisor_in_the_same_directory_is_refused(project: Path, second_run: Supervisor) -> None:
    second = start(project)
    output = second.output()
    assert second.process.returncode == 1
    assert f"already running in {second_run.state} (process {second_run.process.pid})" in output
    assert second_run.is_ready()
    assert set(second_run.children()) == {"postgres", "openbao", "temporal", "sandbox", "worker", "api"}


def test_other_ports_are_used_if_the_usual_ones_are_in_use(other_project: Path, second_run: Supervisor) -> None:
    with running_stack(other_project) as neighbour:
        ones, others = (stack.running()["addresses"].values() for stack in (second_run, neighbour))
        assert not set(ones) & set(others)


def test_no_sandbox_is_started_if_all_services_are_real(other_project: Path) -> None:
    accounts = ("MEETBOT_GOOGLE_CLIENT_ID", "MEETBOT_MICROSOFT_CLIENT_ID", "MEETBOT_BACKEND_API_KEY")
    with running_stack(other_project, **dict.fromkeys(accounts, "real")) as supervisor:
        assert set(supervisor.children()) == {"postgres", "openbao", "temporal", "worker", "api"}


def test_a_crashed_child_is_named_with_its_output_and_stops_the_rest(other_project: Path) -> None:
    with running_stack(other_project) as supervisor:
        children = supervisor.children()
        sandbox = supervisor.running()["addresses"]["sandbox_url"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{sandbox}/crash", trust_env=False)
        output = supervisor.output()
        assert supervisor.process.returncode == 1
        assert "sandbox ended by itself with exit code 7" in output
        assert "the last output of this program" in output
        assert all_gone(children)


def test_the_next_supervisor_removes_what_a_killed_one_left_behind(
    other_project: Path,
) -> None:
    with running_stack(other_project) as first:
        orphans = first.children()
        first.process.kill()
        first.process.wait()
        assert load_running_environment(first.state) is None, "the record of a killed stack was taken for a running one"
        with running_stack(other_project) as second:
            assert all_gone(orphans)
            assert set(second.children()) == set(orphans)


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_a_signal_during_the_start_stops_what_has_been_started(
    other_project: Path, stop_signal: signal.Signals
) -> None:
    with starting_stack(other_project) as supervisor:
        eventually(lambda: "postgres" in supervisor.children())
        children = supervisor.children()
        supervisor.process.send_signal(stop_signal)
        output = supervisor.output()
        assert supervisor.process.returncode == 0, output
        assert all_gone(children)


def test_a_production_configuration_is_refused(project: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "supervise.py"],
        cwd=project,
        env={**os.environ, "MEETBOT_ENV": "production"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert finished.returncode == 1
    assert "MEETBOT_ENV" in finished.stderr or "must be set in production" in finished.stderr


def test_a_program_that_ends_before_it_is_ready_is_reported_with_its_output(tmp_path: Path) -> None:
    child = spawn("broken", [sys.executable, "-c", "raise SystemExit('no such option')"], logs=tmp_path)
    with pytest.raises(PartFailed) as failure:
        wait_until_ready(child, lambda: False, seconds=30)
    assert failure.value.code == "part_ended"
    assert "no such option" in failure.value.log_tail
    stop(child)


def test_a_program_that_ignores_its_signal_is_killed_with_its_own_children(tmp_path: Path) -> None:
    deaf = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    child = spawn("deaf", [sys.executable, "-c", deaf], logs=tmp_path)
    wait_until_ready(child, lambda: child.log_file.read_text().endswith("\n"), seconds=30)
    grandchild = psutil.Process(int(child.log_file.read_text()))
    stop(child, seconds=0.2)
    assert child.process.returncode == -signal.SIGKILL
    eventually(lambda: all_gone({"grandchild": grandchild}))


def test_one_directory_has_one_supervisor(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with exclusive(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), exclusive(tmp_path):
            pass
    assert not is_held(tmp_path)
