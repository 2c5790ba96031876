"""Calls to one upstream: its address, its connections, and how many there may be."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohappyeyeballs

from b2b_chat.kit.http.connection import Connection
from b2b_chat.kit.http.errors import CannotConnect, ConnectTimeout
from b2b_chat.kit.http.response import Response

MAX_IDLE_SECONDS: Final = 15
"""Most servers close idle connections after more than this. A call that meets that moment would fail."""
_PROBES: Final = 3
"""How many unanswered questions whether the peer is there end a connection."""
_NEXT_ADDRESS_SECONDS: Final = 0.25
"""RFC 8305, section 8: how long the first address is tried alone."""
_MAX_PROXY_HEAD_BYTES: Final = 16_384
_PORTS: Final = {"http": 80, "https": 443}


class HttpClient:
    """Calls one upstream, on connections that are kept.

    Args:
        url: Its scheme, host and port, as `https://api.example.com:8443`; each call names its own path.
        headers: Sent with every call.
        max_connections: How many there may be at once; more calls wait.
        connect_seconds: Longest wait for a new one, TLS included.
        lost_after_seconds: A connection ends when its peer's machine was not heard of for about so long.
        max_idle_seconds: An unused connection is closed after this long.
        tls: For `https`; None makes one of the system's certificates.
        proxy: The URL of an HTTP proxy on the way.

    Raises:
        ValueError: The proxy's URL is not `http://`.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        max_connections: int,
        connect_seconds: float,
        lost_after_seconds: int,
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        self._upstream = urlsplit(url)
        self._host = self._upstream.hostname or ""
        self._port = self._upstream.port or _PORTS[self._upstream.scheme]
        is_tls = self._upstream.scheme == "https"
        self._tls = (tls or ssl.create_default_context()) if is_tls else None
        self._proxy = None if proxy is None else _proxy_at(proxy)
        is_forwarded = self._proxy is not None and not is_tls
        self._origin = f"http://{self._upstream.netloc.rpartition('@')[2]}" if is_forwarded else ""
        every = {"Host": self._upstream.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **headers}
        if is_forwarded and self._proxy is not None:
            every.update(_credentials(self._proxy))
        self._headers = _lines(every)
        self._connect_seconds = connect_seconds
        self._socket_options = _noticing_loss(lost_after_seconds)
        self._max_idle_seconds = max_idle_seconds
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        """In the order of their last use, so that the ones of a burst are left unused at its head."""
        self._reaping: asyncio.TimerHandle | None = None
        self._busy: set[Connection] = set()
        self._is_closed = False

    def close(self) -> None:
        """Hang up for good, also in the middle of responses."""
        self._is_closed = True
        if self._reaping is not None:
            self._reaping.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Make a call and return when the head of its response has arrived. The caller must close the response.

        Args:
            method: As it goes over the wire; not HEAD, whose response looks like one that breaks off.
            target: Path and query as they go over the wire.
            headers: Beside those of every call.
            body: May be empty.

        Raises:
            HttpError: There is no response; the subclass says why.
            ValueError: The target or a header does not fit into its line.
        """
        if not (target.isascii() and target.isprintable()) or " " in target:
            raise ValueError("the target does not fit into its line")
        lines = f"{self._headers}{_lines(headers)}Content-Length: {len(body)}\r\n"
        request = f"{method} {self._origin}{target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
        await self._slots.acquire()
        try:
            connection = self._kept() or await self._open()
        except BaseException:
            self._slots.release()
            raise
        self._busy.add(connection)
        if self._is_closed:  # while this call waited
            connection.close()
        return await connection.ask(request, self._take_back)

    def _kept(self) -> Connection | None:
        """Return the connection that was used last, if one is still good."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and self._is_fresh(connection):
                return connection
            connection.close()
        return None

    def _is_fresh(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.idle_since < self._max_idle_seconds

    def _take_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        self._slots.release()
        if connection.is_usable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            if self._reaping is None:
                self._reap_at(connection.idle_since + self._max_idle_seconds)

    def _reap_at(self, when: float) -> None:
        self._reaping = asyncio.get_running_loop().call_at(when, self._reap)

    def _reap(self) -> None:
        """Close what was unused for too long, and come back when the next one may be. One timer serves all."""
        self._reaping = None
        while self._idle and not (self._idle[0].is_usable and self._is_fresh(self._idle[0])):
            self._idle.pop(0).close()
        if self._idle:
            self._reap_at(self._idle[0].idle_since + self._max_idle_seconds)

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                via = self._proxy or self._upstream
                opened = await _connect(via.hostname or "", via.port or _PORTS[via.scheme], self._socket_options)
                if self._proxy is not None and self._tls is not None:
                    await _tunnel(opened, _authority(self._host, self._port), self._proxy)
                return await _connection_on(opened, self._tls, self._host)
        except TimeoutError as error:
            raise ConnectTimeout from error
        except (OSError, UnicodeError) as error:  # UnicodeError: the name cannot be one
            raise CannotConnect from error


def _noticing_loss(seconds: int) -> Mapping[int, int]:
    """Return the options of a TCP socket that notices within so long a network that loses everything without a word.

    It asks when nothing was said for two fifths of that time, and then three times more; bytes that it sent itself are
    acknowledged within that time, or it is lost.
    """
    options = {
        "TCP_KEEPIDLE": max(1, seconds * 2 // 5),
        "TCP_KEEPINTVL": max(1, seconds // 5),
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": seconds * 1000,  # milliseconds
    }
    return {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}


async def _connect(host: str, port: int, options: Mapping[int, int]) -> socket.socket:
    """Return a socket to the first address of a host that answers."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    opened = await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
    )
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in options.items():
        opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened


async def _connection_on(opened: socket.socket, tls: ssl.SSLContext | None, host: str) -> Connection:
    """Return a connection that owns the socket from now on."""
    connection = Connection()
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection.protocol, sock=opened, ssl=tls, server_hostname=host if tls else None
        )
    except BaseException:
        # A socket closed here would give its number to another while the loop still watches it. Shut down, it ends for
        # the loop, which then closes it, even before the TLS handshake.
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
        raise
    return connection


async def _tunnel(opened: socket.socket, authority: str, proxy: SplitResult) -> None:
    """Ask a proxy for a tunnel; the socket is closed where it refuses.

    Raises:
        OSError: It refuses.
    """
    head = _lines({"Host": authority, **_credentials(proxy)})
    request = f"CONNECT {authority} HTTP/1.1\r\n{head}\r\n".encode("latin-1")
    try:
        await asyncio.get_running_loop().sock_sendall(opened, request)
        answer = await _head(opened)
    except BaseException:
        opened.close()
        raise
    if not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
        opened.close()
        raise ConnectionError("the proxy refuses to connect")


async def _head(opened: socket.socket) -> bytes:
    """Return the head of a proxy's response. It is read byte by byte, since the upstream's bytes follow it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = await asyncio.get_running_loop().sock_recv(opened, 1)
        head += received
        if not received or len(head) > _MAX_PROXY_HEAD_BYTES:
            raise ConnectionError("the proxy gave no answer")
    return head


def _proxy_at(url: str) -> SplitResult:
    """Return a proxy's URL in parts; people write it without a scheme too."""
    proxy = urlsplit(url if "://" in url else f"http://{url}")
    if proxy.scheme != "http":  # or its password would go over the wire unencrypted
        raise ValueError("the proxy's URL must be http://")
    return proxy


def _authority(host: str, port: int) -> str:
    """Return a host and port as CONNECT names them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _credentials(proxy: SplitResult) -> dict[str, str]:
    """Return the header for a proxy whose URL has a name and a password."""
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _lines(headers: Mapping[str, str]) -> str:
    """Return headers as they go over the wire.

    Raises:
        ValueError: A header contains a line break, which would make it two.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header holds a line's end")
    return lines
