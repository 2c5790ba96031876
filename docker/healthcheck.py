"""A container's health check: exits 0 where the app on this container's port answers `GET /health` with 200."""

import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 3


def main(port: int) -> int:
    """Return the exit code for the app on this port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, HTTPException):
        return 1
    finally:
        connection.close()
    return int(status != 200)  # noqa: PLR2004 - HTTP's OK; http.HTTPStatus would cost an import at every check


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
