"""Where a client sends its requests, with which key, and how patiently."""

import os
import platform
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from b2b_chat_client.errors import ConnectionFailed, NotConfigured, TimedOut
from b2b_chat_client.retrying import Retries
from b2b_chat_client.steps import Request
from b2b_chat_client.version import __version__

API_KEY_VARIABLE: Final = "B2B_CHAT_API_KEY"
BASE_URL_VARIABLE: Final = "B2B_CHAT_BASE_URL"
TIMEOUT_SECONDS: Final = 60.0
"""An answer that is being written is never silent for so long: the server sends a comment every 15 seconds."""

_CONNECT_SECONDS: Final = 10.0
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Configuration:
    """What all requests of a client have in common."""

    base_url: str
    api_key: str = field(repr=False)
    timeout_seconds: float
    max_retries: int
    rng: Random = field(default_factory=Random, repr=False)

    def retries(self, *, is_safe_to_repeat: bool = True) -> Retries:
        """Return the retries of one call."""
        return Retries(self.max_retries, self.rng, is_safe_to_repeat=is_safe_to_repeat)

    def arguments(self, request: Request) -> dict[str, Any]:
        """Return a request as the arguments of httpx's `build_request`."""
        return {
            "method": request.method,
            "url": self.base_url + request.path,
            "content": request.body,
            "headers": {
                "Authorization": f"Bearer {self.api_key}",
                "User-Agent": f"b2b-chat-client/{__version__} Python/{platform.python_version()}",
                "Accept": "application/json",
                **request.headers,
            },
            "timeout": httpx.Timeout(self.timeout_seconds, connect=min(_CONNECT_SECONDS, self.timeout_seconds)),
        }


def configured(api_key: str | None, base_url: str | None, *, timeout_seconds: float, max_retries: int) -> Configuration:
    """Return the configuration of a client; what is not given comes from the environment.

    Raises:
        NotConfigured: There is no key or no address, or one that cannot be sent or reached.
    """
    key = api_key or os.environ.get(API_KEY_VARIABLE, "")
    url = (base_url or os.environ.get(BASE_URL_VARIABLE, "")).rstrip("/")
    if not key:
        raise NotConfigured(f"Give an API key as `api_key`, or set {API_KEY_VARIABLE}.")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise NotConfigured("The API key holds characters that no key has. Check what was pasted.")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise NotConfigured(f"Give the server's address as `base_url`, or set {BASE_URL_VARIABLE}: https://…")
    if timeout_seconds <= 0 or max_retries < 0:
        raise NotConfigured("`timeout_seconds` is more than 0, and `max_retries` 0 or more.")
    return Configuration(url.removesuffix("/v1"), key, timeout_seconds, max_retries)


def as_failure(error: httpx.RequestError) -> ConnectionFailed | NotConfigured:
    """Return an error of httpx as one of this package."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.UnsupportedProtocol):
        return NotConfigured(words)
    failure = TimedOut(words) if isinstance(error, httpx.TimeoutException) else ConnectionFailed(words)
    failure.was_sent = not isinstance(error, _NEVER_SENT)
    failure.__cause__ = error
    return failure
