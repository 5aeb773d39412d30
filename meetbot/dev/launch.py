"""Becoming a child of the development stack: ``python -I -S launch.py PARENT SIGNAL UID GID -- PROGRAM ARGUMENT...``

Run by path in a fresh interpreter, so it imports nothing of ours. Before it turns into the program it

- asks Linux to send it SIGNAL when PARENT dies, so that nothing survives a killed supervisor;
- gives up root where UID is not 0, since PostgreSQL refuses to run as root. The right to pass file permissions
  (CAP_DAC_OVERRIDE) is kept where we have it: the checkout may well lie in a home directory closed to others.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main(arguments: list[str]) -> None:
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[5:]
    if uid != 0:
        _give_up_root(uid, gid)
    # After the change of user: the kernel forgets the wish whenever the credentials change.
    _die_with_parent(parent, death_signal)
    os.execv(command[0], command)  # noqa: S606 - exactly this program, no shell


def _die_with_parent(parent: int, death_signal: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent was gone before its child had started")


def _give_up_root(uid: int, gid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
    if libc is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if libc is not None:
        _keep_file_access(libc)


def _keep_file_access(libc: ctypes.CDLL) -> None:
    """Both calls fail where the container withholds the capability; then ordinary permissions must do."""
    bit = 1 << _CAP_DAC_OVERRIDE
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySets * 2)(_CapabilitySets(bit, bit, bit), _CapabilitySets(0, 0, 0))
    if libc.capset(ctypes.byref(header), sets) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
