"""Folders for unix sockets: private, and with paths that are short enough for the system."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from b2b_chat.sandbox.accounts import Account
from b2b_chat.sandbox.errors import SandboxError

_MAX_SOCKET_PATH_BYTES: Final = 103  # macOS; Linux allows 107


def socket_folder(folder: Path, socket_name: str) -> Path:
    """Return where a server in `folder` puts its socket: there or, if the path is too long, in a temporary folder."""
    inside = folder / "socket"
    # asyncpg reads a comma in a host as a list of hosts.
    if len(os.fsencode(inside / socket_name)) <= _MAX_SOCKET_PATH_BYTES and "," not in str(inside):
        return inside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"b2b-chat-{os.geteuid()}-{digest}"


def make_private_folder(path: Path, account: Account | None) -> None:
    """Create a folder for a server's user alone; another user's folder in its place is refused.

    Raises:
        SandboxError: It is another user's.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    acceptable_owners = {os.geteuid(), account.uid if account else os.geteuid()}
    if path.is_symlink() or path.stat().st_uid not in acceptable_owners:
        raise SandboxError(f"{path} belongs to another user. Remove it and try again.")
    path.chmod(0o700)
    if account is not None:
        account.own(path)
