"""The embedded PostgreSQL, started by root in a folder that nobody but root may enter."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from meetbot.dev.account import SERVER_IDS, hand_over
from meetbot.dev.postgres import PostgresServer
from meetbot.dev.process import ProcessUser
from tests.stack import running_postgres

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else"),
]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    directory = tmp_path / "closed to others"
    directory.mkdir(mode=0o700)
    return directory


def server_process(server: PostgresServer) -> psutil.Process:
    return psutil.Process(server.child.pid)


def owners(directory: Path) -> set[int]:
    return {path.lstat().st_uid for path in (directory, *directory.rglob("*"))}


def words(server: PostgresServer) -> list[str]:
    with psycopg.connect(server.url) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM kept")]


def keep(server: PostgresServer, word: str) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (word,))


def test_it_runs_under_an_id_of_its_own_and_outlives_a_restart(closed: Path) -> None:
    with running_postgres(closed) as server:
        user = server_process(server).uids().effective
        keep(server, "kept")
    with running_postgres(closed) as server:
        assert server_process(server).uids().effective == user
        assert words(server) == ["kept"]
    assert user in SERVER_IDS
    with pytest.raises(KeyError):
        pwd.getpwuid(user)
    assert owners(closed / "postgres" / "data") == {user}


def test_its_programs_lie_in_the_open_and_its_data_does_not(closed: Path) -> None:
    with running_postgres(closed) as server:
        programs = Path(server_process(server).exe())
        assert all(folder.stat().st_mode & stat.S_IXOTH for folder in programs.parents)
        assert Path(server_process(server).cwd()) == closed / "postgres" / "data"
    assert stat.S_IMODE((closed / "postgres").stat().st_mode) == 0o700
    assert owners(closed) - owners(closed / "postgres" / "data") == {0}


def test_it_keeps_no_right_of_root(closed: Path) -> None:
    with running_postgres(closed) as server:
        status = Path(f"/proc/{server.child.pid}/status").read_text()
    rights = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith(("Cap", "Groups")))
    assert {int(rights[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert rights["Groups"].strip() == ""


def test_data_that_an_earlier_version_gave_to_nobody_is_taken_over(closed: Path) -> None:
    with running_postgres(closed) as server:
        keep(server, "of an earlier version")
    nobody = pwd.getpwnam("nobody")
    hand_over(closed / "postgres", ProcessUser(nobody.pw_uid, nobody.pw_gid))
    hand_over(closed / "postgres" / "data", ProcessUser(nobody.pw_uid, nobody.pw_gid))
    with running_postgres(closed) as server:
        assert words(server) == ["of an earlier version"]
    assert owners(closed / "postgres" / "data") <= set(SERVER_IDS)
    assert (closed / "postgres").stat().st_uid == 0


def test_data_of_an_ordinary_user_stays_that_users(closed: Path) -> None:
    user = pwd.getpwnam("daemon")
    with running_postgres(closed) as server:
        keep(server, "of an ordinary user")
    hand_over(closed / "postgres" / "data", ProcessUser(user.pw_uid, user.pw_gid))
    with running_postgres(closed) as server:
        assert server_process(server).uids().effective == user.pw_uid
        assert words(server) == ["of an ordinary user"]
    assert owners(closed / "postgres" / "data") == {user.pw_uid}


def test_a_start_that_was_killed_while_it_handed_the_data_over_is_made_up_for(closed: Path) -> None:
    with running_postgres(closed) as server:
        keep(server, "kept")
    data = closed / "postgres" / "data"
    for path in (data, data / "PG_VERSION", data / "base"):
        os.chown(path, 0, 0)
    with running_postgres(closed) as server:
        assert words(server) == ["kept"]
