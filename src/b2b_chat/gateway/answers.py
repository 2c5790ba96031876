"""Answering a chat: how many at once, how many attempts, within what time, and the log line that tells how it went."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from msgspec import Struct

from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.gateway.completions import encode_request
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.retries import RetryPolicy
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.gateway.upstream import Upstream

Pieces = AsyncGenerator[str | ChatResult, None]
"""Texts as they come, where a stream was asked for, and then, always, the whole result."""

log = structlog.get_logger(__name__)


class _Progress(Struct):
    """How far a call has come."""

    attempt: int = 0
    deltas: int = 0
    outcome: str = "abandoned"
    code: str | None = None


class Answers:
    """Gets answers from OpenAI, with as much patience as the settings allow."""

    def __init__(self, upstream: Upstream, settings: GatewaySettings) -> None:
        self._upstream = upstream
        self._total_seconds = settings.upstream_total_timeout_seconds
        self._max_calls = settings.upstream_max_connections
        self._retries = RetryPolicy(
            max_attempts=settings.upstream_max_attempts,
            base_seconds=settings.upstream_retry_base_seconds,
            cap_seconds=settings.upstream_retry_cap_seconds,
        )
        self._calls = 0

    async def answer(self, request: ChatRequest, request_id: str) -> Pieces:
        """The model's answer to a request. Closing the generator closes the call to OpenAI.

        Raises:
            UpstreamFailure: OpenAI gave no answer, or not to its end; or too many calls are under way.
        """
        if self._calls >= self._max_calls:
            raise UpstreamFailure("gateway_busy")
        self._calls += 1
        progress = _Progress()
        started_at = asyncio.get_running_loop().time()
        try:
            async with aclosing(self._attempts(request, request_id, progress, started_at)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ChatResult):
                        progress.outcome = "answered"
                    else:
                        progress.deltas += 1
                    yield piece
        except UpstreamFailure as error:
            progress.outcome, progress.code = "failed", error.failure.code
            raise
        finally:
            self._calls -= 1
            log.info(
                "chat",
                outcome=progress.outcome,
                code=progress.code,
                attempt=progress.attempt,
                deltas=progress.deltas,
                duration_ms=round((asyncio.get_running_loop().time() - started_at) * 1000, 2),
                company_id=request.metadata.company_id,
                user_id=request.metadata.user_id,
                conversation_id=request.metadata.conversation_id,
                message_id=request.metadata.message_id,
            )

    async def _attempts(self, request: ChatRequest, request_id: str, progress: _Progress, started_at: float) -> Pieces:
        """Attempts, until one brings something; what has begun cannot be begun again."""
        body = encode_request(request)
        attempt = self._upstream.stream if request.stream else self._upstream.complete
        total_at = started_at + self._total_seconds
        while True:
            progress.attempt += 1
            try:
                async with aclosing(attempt(body, request_id, total_at=total_at)) as pieces:
                    async for piece in pieces:
                        yield piece
            except UpstreamFailure as error:
                wait_seconds = self._retries.wait_seconds(progress.attempt, error)
                if (
                    progress.deltas
                    or wait_seconds is None
                    or asyncio.get_running_loop().time() + wait_seconds >= total_at
                ):
                    raise
                log.warning("upstream_retry", code=error.failure.code, attempt=progress.attempt)
            else:
                return
            await asyncio.sleep(wait_seconds)
