"""Calls to one place: its address, its connections, and how many there may be."""

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

_MAX_IDLE_SECONDS: Final = 15
"""Servers close what is idle, most after more than this; a call that meets that moment would fail."""
_NEXT_ADDRESS_SECONDS: Final = 0.25
"""RFC 8305, section 8: when another address of the place is tried beside the first."""
_MAX_PROXY_HEAD_BYTES: Final = 16_384
_PORTS: Final = {"http": 80, "https": 443}


class HttpClient:
    """Calls one place, on connections that are kept.

    Args:
        url: The place, as `https://api.example.com:8443/v1`; its path is that of every call.
        headers: Sent with every call.
        max_connections: How many there may be at once; more calls wait.
        connect_seconds: Longest wait for a new one, TLS included.
        tls: For `https`; None makes one of the system's certificates.
        proxy: The URL of an HTTP proxy on the way.

    Raises:
        ValueError: The proxy wants to be spoken to otherwise than in plain HTTP.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        max_connections: int,
        connect_seconds: float,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        self._place = urlsplit(url)
        self._host = self._place.hostname or ""
        self._port = self._place.port or _PORTS[self._place.scheme]
        is_tls = self._place.scheme == "https"
        self._tls = (tls or ssl.create_default_context()) if is_tls else None
        self._proxy = None if proxy is None else _proxy_at(proxy)
        is_forwarded = self._proxy is not None and not is_tls
        self._origin = f"http://{self._place.netloc.rpartition('@')[2]}" if is_forwarded else ""
        every = {"Host": self._place.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **headers}
        if is_forwarded and self._proxy is not None:
            every.update(_credentials(self._proxy))
        self._headers = _lines(every)
        self._connect_seconds = connect_seconds
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._is_closed = False

    def close(self) -> None:
        """Hang up, in mid-answer too, for good."""
        self._is_closed = True
        for connection in (*self._idle, *self._busy):
            connection.close()

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Make a call and return when the head of its answer is here. Whoever calls must close the answer.

        Args:
            method: As it goes over the wire; not HEAD, whose answer cannot be told from one that breaks off.
            target: Path and query as they go over the wire.
            headers: Beside those of every call.
            body: May be empty.

        Raises:
            HttpError: There is no answer; the subclass says why.
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
        """The connection that was used last and is still good."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and asyncio.get_running_loop().time() - connection.idle_since < _MAX_IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _take_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        self._slots.release()
        if connection.is_usable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                via = self._proxy or self._place
                opened = await _connect(via.hostname or "", via.port or _PORTS[via.scheme])
                if self._proxy is not None and self._tls is not None:
                    await _tunnel(opened, _authority(self._host, self._port), self._proxy)
                return await _connection_on(opened, self._tls, self._host)
        except TimeoutError as error:
            raise ConnectTimeout from error
        except (OSError, UnicodeError) as error:  # UnicodeError: the name cannot be one
            raise CannotConnect from error


async def _connect(host: str, port: int) -> socket.socket:
    """A socket to the first address of a host that answers."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    opened = await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
    )
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return opened


async def _connection_on(opened: socket.socket, tls: ssl.SSLContext | None, host: str) -> Connection:
    """A connection on a socket, which is its own from now on."""
    connection = Connection()
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection.protocol, sock=opened, ssl=tls, server_hostname=host if tls else None
        )
    except BaseException:
        # Closed here, its number would be another's while the loop still has it; at its end the loop lets go of it,
        # also where it has not begun to shake hands yet.
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
        raise
    return connection


async def _tunnel(opened: socket.socket, place: str, proxy: SplitResult) -> None:
    """Ask a proxy to pass on whatever comes; where it does not, the socket is closed.

    Raises:
        OSError: It does not.
    """
    head = _lines({"Host": place, **_credentials(proxy)})
    request = f"CONNECT {place} HTTP/1.1\r\n{head}\r\n".encode("latin-1")
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
    """What a proxy answers, up to where the other end's bytes begin."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = await asyncio.get_running_loop().sock_recv(opened, 1)
        head += received
        if not received or len(head) > _MAX_PROXY_HEAD_BYTES:
            raise ConnectionError("the proxy gave no answer")
    return head


def _proxy_at(url: str) -> SplitResult:
    """A proxy by its URL, which people write without a scheme too."""
    proxy = urlsplit(url if "://" in url else f"http://{url}")
    if proxy.scheme != "http":  # or its password would go to it in the open
        raise ValueError("a proxy must be an http:// one")
    return proxy


def _authority(host: str, port: int) -> str:
    """A place as CONNECT names it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _credentials(proxy: SplitResult) -> dict[str, str]:
    """What introduces us to a proxy whose URL has a name and a password."""
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _lines(headers: Mapping[str, str]) -> str:
    """Headers as they go over the wire.

    Raises:
        ValueError: One would end its line, and be two.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header holds a line's end")
    return lines
