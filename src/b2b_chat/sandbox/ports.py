"""Choosing free ports for what the sandbox starts."""

import socket
from contextlib import ExitStack


def free_ports(count: int, *, host: str = "127.0.0.1") -> list[int]:
    """As many different TCP ports, which nothing listened on a moment ago."""
    with ExitStack() as probes:
        # All are held until the last is found, so none is found twice.
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in sockets]
