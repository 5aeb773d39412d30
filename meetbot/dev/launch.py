"""The first step of every child: prepare the process, then turn into the program.

``python -I -S launch.py PARENT SIGNAL UID GID -- PROGRAM ARGUMENT...`` is run by path in a fresh interpreter, so it
imports nothing of ours. Before it turns into the program it

- asks Linux to send it SIGNAL when PARENT dies, so that nothing survives a killed supervisor;
- gives up root if UID is not 0, since PostgreSQL refuses to run as root. The process keeps access to its working directory.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the program that the arguments name."""
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[5:]
    if uid != 0:
        _give_up_root(uid, gid)
    # After the change of user: the kernel drops the request if the credentials change.
    _die_with_parent(parent, death_signal)
    os.execv(command[0], command)  # noqa: S606 - exactly this program, no shell


def _die_with_parent(parent: int, death_signal: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent was gone before its child had started")


def _give_up_root(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main(sys.argv[1:])
