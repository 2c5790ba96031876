"""Chooses free ports for the sandbox's processes."""

import socket
from contextlib import ExitStack


def free_ports(count: int, *, host: str = "127.0.0.1") -> list[int]:
    """Return this many different TCP ports that were free a moment ago."""
    with ExitStack() as probes:
        # All are held until the last is found, so none is found twice.
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in sockets]
