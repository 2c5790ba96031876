"""What a service manager such as systemd learns from us (`sd_notify`)."""

import os
import socket


def report_ready() -> None:
    """Report that this process serves, to the service manager that asked for it by `NOTIFY_SOCKET`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        manager.sendall(b"READY=1")
