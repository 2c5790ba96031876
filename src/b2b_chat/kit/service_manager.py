"""What a service manager such as systemd learns from us (`sd_notify`)."""

import os
import socket

import structlog

log = structlog.get_logger(__name__)


def report_ready() -> None:
    """Report that this process serves, to the service manager that asked for it by `NOTIFY_SOCKET`.

    One that does not listen any more changes nothing: each worker reports, whenever it starts.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        try:
            manager.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            manager.sendall(b"READY=1")
        except OSError as error:
            log.warning("service_manager_unreachable", problem=type(error).__name__)
