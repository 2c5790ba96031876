"""The door: it lets signed calls in, once each, and no others.

This layer stands outside of routing, so that only signed callers learn which paths and methods exist.
Everything but `GET /health` and `GET /ready` must be signed, so that a forgotten path is closed.
"""

import asyncio
from http import HTTPStatus
from typing import Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, ReceiveMessage, Scope, Send
from prometheus_client import Counter

from b2b_chat.contract.errors import AUTHENTICATION, FAILURES, Code
from b2b_chat.contract.signing import (
    InvalidSignature,
    ReplayedNonce,
    Signature,
    SignatureError,
    ensure_fresh,
    read_signature,
    verify,
)
from b2b_chat.gateway.errors import send_failure
from b2b_chat.gateway.nonces import NonceStore, NonceStoreUnavailable
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.clock import Clock
from b2b_chat.kit.errors import BodyTooLarge
from b2b_chat.kit.request_body import BrokenBody, read_body

_OPEN_PATHS: Final = {b"/health", b"/ready"}
_OPEN_METHODS: Final = {"GET", "HEAD"}

_REFUSALS = Counter("gateway_refusals", "Calls that were not let in, by code.", ["code"])

log = structlog.get_logger(__name__)


class _TooManyUnsigned(Exception):
    """The bodies that are being gathered take all the memory that they may."""


class Verification:
    """ASGI layer that checks the headers' form and time, the size, the signature, and the nonce, in this order.

    What anybody can send is bounded: a body is gathered only behind headers that could be a signed call's, within a
    deadline, and all together take so much memory and no more.

    A nonce is recorded only when all else is right, so that a caller without the secret can neither fill the store nor
    use up the nonce of another's call.
    """

    def __init__(self, app: ASGIApp, *, settings: GatewaySettings, nonces: NonceStore, clock: Clock) -> None:
        self._app = app
        self._accepted_secrets = settings.accepted_secrets
        self._skew_seconds = settings.gateway_clock_skew_seconds
        self._max_body_bytes = settings.gateway_max_body_bytes
        self._max_unsigned_bytes = settings.gateway_max_unsigned_bytes
        self._unsigned_bytes = 0
        self._body_seconds = settings.gateway_body_timeout_seconds
        self._nonces = nonces
        self._clock = clock
        for code, failure in FAILURES.items():
            if failure.type == AUTHENTICATION:
                _REFUSALS.labels(code)  # the first refusal must be a rise, not a new series

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP or _is_open(scope):
            await self._app(scope, receive, send)
            return
        try:
            signature = read_signature(scope["headers"])
            ensure_fresh(signature, unix_seconds=self._clock().timestamp(), skew_seconds=self._skew_seconds)
            body = await self._gather(scope, receive)
            await self._check(scope, signature, body)
        except _TooManyUnsigned:
            await _refuse("gateway_busy", send)
        except (BrokenBody, TimeoutError):
            await _refuse("invalid_body", send)
        except BodyTooLarge:
            await _refuse("body_too_large", send)
        except SignatureError as error:
            await _refuse(error.code, send)
        except NonceStoreUnavailable:
            await _refuse("nonce_store_unavailable", send)
        else:
            await self._app(scope, _with_body(body, receive), send)

    async def _gather(self, scope: HTTPScope, receive: Receive) -> bytes:
        announced = next((int(value) for name, value in scope["headers"] if name == b"content-length"), None)
        size_bytes = self._max_body_bytes if announced is None else announced
        if size_bytes > self._max_body_bytes:
            raise BodyTooLarge
        if self._unsigned_bytes + size_bytes > self._max_unsigned_bytes:
            raise _TooManyUnsigned
        self._unsigned_bytes += size_bytes
        try:
            async with asyncio.timeout(self._body_seconds):
                return await read_body(receive, announced_bytes=announced, max_bytes=self._max_body_bytes)
        finally:
            self._unsigned_bytes -= size_bytes

    async def _check(self, scope: HTTPScope, signature: Signature, body: bytes) -> None:
        path, query = scope["raw_path"], scope["query_string"]
        if query:
            self._verify(signature, scope, path + b"?" + query, body)
        else:
            # The server does not distinguish `/v1/chat?` from `/v1/chat`; the caller signed one of them.
            try:
                self._verify(signature, scope, path, body)
            except InvalidSignature:
                self._verify(signature, scope, path + b"?", body)
        if not await self._nonces.claim(signature.nonce, int(signature.timestamp)):
            raise ReplayedNonce

    def _verify(self, signature: Signature, scope: HTTPScope, target: bytes, body: bytes) -> None:
        verify(
            self._accepted_secrets,
            signature,
            scope["method"],
            target,
            body,
            unix_seconds=self._clock().timestamp(),
            skew_seconds=self._skew_seconds,
        )


def _is_open(scope: HTTPScope) -> bool:
    return scope["raw_path"] in _OPEN_PATHS and scope["method"] in _OPEN_METHODS


def _with_body(body: bytes, receive: Receive) -> Receive:
    """Pass the body on in one piece, and after it what follows: the disconnect."""
    is_handed_on = False

    async def receive_verified() -> ReceiveMessage:
        nonlocal is_handed_on
        if is_handed_on:
            return await receive()
        is_handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_verified


async def _refuse(code: Code, send: Send) -> None:
    failure = FAILURES[code]
    _REFUSALS.labels(code).inc()
    log.warning("call_refused", code=code)
    is_unauthorized = failure.status == HTTPStatus.UNAUTHORIZED
    await send_failure(send, failure, {"WWW-Authenticate": "HMAC-SHA256"} if is_unauthorized else {})
