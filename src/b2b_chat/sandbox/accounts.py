"""The system account that PostgreSQL runs under when we are root, since it refuses to run as root itself."""

import ctypes
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from b2b_chat.sandbox.errors import SandboxError

ACCOUNT: Final = "pgserver"
USERADD: Final = "/usr/sbin/useradd"
"""Its place when root's PATH lacks the folder of root's tools."""

_PR_SET_SECUREBITS: Final = 28
_SECBIT_NO_SETUID_FIXUP: Final = 4
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1
_CAPABILITY_VERSION_3: Final = 0x20080522


class Account:
    """A system user that a process of root can become."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid = uid
        self.gid = gid

    def own(self, path: Path) -> None:
        """Make this user the owner of a file or folder."""
        os.chown(path, self.uid, self.gid)

    def become(self) -> None:  # pragma: no cover - runs in the new process, before another program replaces it
        """Make this process the user's, but let it pass folders that are closed to the user.

        For a virtual environment or data folder in `/root` or in a 0700 temporary folder. The alternative, opening
        root's folders to everyone, would outlast us. Where the system refuses (not Linux, or a container without
        CAP_SETPCAP), the right is not kept, and PostgreSQL will say what it cannot reach.
        """
        # "No fixup" keeps the rights over setuid and, unlike PR_SET_KEEPCAPS, makes access(2) heed them too.
        keeps = sys.platform == "linux" and _LIBC.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
        os.setgroups([self.gid])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if keeps:
            _LIBC.capset(ctypes.byref(_HEADER), _ONLY_DAC_OVERRIDE)
            _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def account_for_postgres() -> Account | None:
    """Return None for a normal user, who runs PostgreSQL as themselves; for root an account, created if it is missing.

    Raises:
        SandboxError: The account is missing and cannot be created.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _add_account()
        entry = pwd.getpwnam(ACCOUNT)
    return Account(entry.pw_uid, entry.pw_gid)


def _add_account() -> None:
    useradd = shutil.which("useradd") or USERADD
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        raise SandboxError(
            f"PostgreSQL does not run as root, and its system user {ACCOUNT!r} cannot be created: {reason.strip()}. "
            "Run this as a normal user, or set DATABASE_URL to a PostgreSQL of yours."
        ) from error


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


# Made here: a new process between fork and exec had better not load or build anything.
_LIBC = ctypes.CDLL(None, use_errno=True)
_HEADER = _CapabilityHeader(version=_CAPABILITY_VERSION_3, pid=0)
# Two sets: the kernel's capabilities 0-31 and 32-63.
_ONLY_DAC_OVERRIDE = (_CapabilitySet * 2)(_CapabilitySet(*[1 << _CAP_DAC_OVERRIDE] * 3))
