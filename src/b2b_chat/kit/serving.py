"""Serving an app by Granian, with the options that this software relies on."""

import socket
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.server.mp import MPServer

from b2b_chat.kit.logging import server_logging

_MAX_CONNECTIONS: Final = 16_384
"""Of a worker. Granian lets the excess hang without a word, idle connections counted, so this is far above what the
apps take: they refuse by themselves, and say so."""
_BACKLOG: Final = 4096
"""Connections that may wait to be taken up; the kernel's `net.core.somaxconn` bounds it."""


class PortBusy(Exception):
    """Something already listens there; two Granian servers would share the port without a word."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is in use by another program. Stop it or choose another port.")


def ensure_port_is_free(host: str, port: int, *, except_for_ours: bool = False) -> None:
    """Fail where another program listens.

    Args:
        host: The address.
        port: The port.
        except_for_ours: Whether the port may be shared with a server of ours, run by the same user.

    Raises:
        PortBusy: A listener has the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Granian does, ignore connections of an earlier process that are still in TIME_WAIT; without
        # SO_REUSEPORT a live listener still refuses the bind.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if except_for_ours:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise PortBusy(host, port) from None


class _LastingServer(MPServer):
    """Granian's supervisor, but a worker that is killed again and again does not end the others.

    Granian takes two deaths of a worker within 5.5 seconds for an app that cannot start, and exits. Only a worker that
    ends by itself shows that; one that a signal ended (a defect in native code, a lack of memory) was serving.
    """

    def _respawn_workers(self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        killed = [index for index in workers if (self.wrks[index].inner.exitcode or 0) < 0]
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        for index in killed:
            del self.respawned_wrks[index]  # what Granian judges the next death by


def serve(
    target: str,
    *,
    host: str,
    port: int,
    app: str = "b2b_chat",
    workers: int = 1,
    shares_port: bool = False,
    kill_after_seconds: int = 60,
) -> None:
    """Serve the ASGI factory `target` ("package.module:create_app") until SIGTERM or SIGINT.

    Args:
        target: Called once in each worker process.
        app: Its name in the server's log lines.
        host: Address to listen on.
        port: Port to listen on.
        workers: Processes; more than one needs shared state in Valkey.
        shares_port: Whether another of our servers may listen there.
        kill_after_seconds: A worker that has not ended so long after SIGTERM is killed.

    Raises:
        PortBusy: Another program listens there.
    """
    ensure_port_is_free(host, port, except_for_ours=shares_port)
    options: dict[str, Any] = {
        "interface": Interfaces.ASGI,
        # Named, and measured: see DECISIONS.md. What is left out here made no difference, or a bad one.
        "loop": Loops.uvloop,
        "http": HTTPModes.http1,
        "runtime_mode": RuntimeModes.mt,
        "backlog": _BACKLOG,
        "backpressure": _MAX_CONNECTIONS,
        "websockets": False,
        "factory": True,
        "workers": workers,
        "workers_kill_timeout": kill_after_seconds,
        "respawn_failed_workers": True,
        "log_enabled": True,
        "log_dictconfig": server_logging(app),
    }
    _LastingServer(target, address=host, port=port, **options).serve()
