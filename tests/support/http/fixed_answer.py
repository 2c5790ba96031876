"""A server that gives every request the same answer, with or without TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_GOODBYE_SECONDS = 0.6
"""How long a connection takes to close whose handshake the client broke off; asyncio does not report it."""


@asynccontextmanager
async def answering(
    status: int, body: str = "", *headers: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Answer so on a free port; yields the base URL, which names `localhost`."""
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write("\r\n".join(lines).encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the caller has left: it does not trust the certificate, say
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(_GOODBYE_SECONDS)
