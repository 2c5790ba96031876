"""Answering a chat: once a message, how many at once, how many attempts, where, within what time, and its log line."""

import asyncio
from collections.abc import Sequence
from functools import cache

import structlog
from msgspec import structs
from prometheus_client import Counter, Gauge, Histogram

from b2b_chat.contract.errors import FAILURES, UPSTREAM
from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.idempotency import (
    Key,
    MessageInFlight,
    OtherContent,
    Records,
    RecordsUnavailable,
    fingerprint_of,
    key_of,
)
from b2b_chat.gateway.openai_wire import encode_request
from b2b_chat.gateway.retries import RetryPolicy
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.gateway.upstream import OnText, Upstream
from b2b_chat.kit.metrics import ANSWER_BUCKETS_SECONDS
from b2b_chat.kit.request_id import tell
from b2b_chat.kit.tracing import Span, span

_IN_FLIGHT_RETRY_SECONDS = 1
_DRAINING_RETRY_SECONDS = 2

_ANSWERS = Counter("gateway_answers", "Calls by how they ended, and the code of failed ones.", ["outcome", "code"])
_REPLAYS = Counter("gateway_replays", "Answers given again from memory.")
_CALLS = Gauge("gateway_calls", "Calls that are being answered.")
_FIRST_TEXT_SECONDS = Histogram(
    "gateway_first_text_seconds", "Time to the first text of an answer.", buckets=ANSWER_BUCKETS_SECONDS
)
_ATTEMPTS = Counter("gateway_upstream_attempts", "Calls to OpenAI; `ok` or how they failed.", ["upstream", "code"])
_TOKENS = Counter("gateway_tokens", "Tokens as OpenAI counted them.", ["kind"])
# Looking one up by its labels costs more than counting.
_answers, _attempts, _tokens = cache(_ANSWERS.labels), cache(_ATTEMPTS.labels), cache(_TOKENS.labels)

log = structlog.get_logger(__name__)


class _Progress:
    """How far a call has come."""

    def __init__(self, on_text: OnText, started_at: float) -> None:
        self._on_text = on_text
        self.started_at = started_at
        self.attempt = 0
        self.deltas = 0
        self.outcome = "abandoned"
        self.code: str | None = None
        self.upstream: str | None = None

    async def pass_on(self, text: str) -> None:
        """Pass a text on, and count it."""
        self.has_text()
        self.deltas += 1
        await self._on_text(text)

    def has_text(self) -> None:
        """Note when there was the first text."""
        if not self.deltas:
            _FIRST_TEXT_SECONDS.observe(asyncio.get_running_loop().time() - self.started_at)


class Answers:
    """Gets answers from OpenAI, with as much patience as the settings allow."""

    def __init__(self, upstreams: Sequence[Upstream], records: Records, settings: GatewaySettings) -> None:
        self._upstreams = upstreams
        self._records = records
        self._total_seconds = settings.upstream_total_timeout_seconds
        self._max_calls = settings.upstream_max_connections
        self._retries = RetryPolicy(
            max_attempts=settings.upstream_max_attempts,
            base_seconds=settings.upstream_retry_base_seconds,
            cap_seconds=settings.upstream_retry_cap_seconds,
        )
        self._calls = 0
        self._idle = asyncio.Event()
        self._is_draining = False
        self._is_cut = False
        for upstream in upstreams:
            # A series that begins with its first failure shows Prometheus no rise, and nobody is told.
            for code in ("ok", *(code for code, failure in FAILURES.items() if failure.type == UPSTREAM)):
                _ATTEMPTS.labels(upstream.name, code)
        _CALLS.set_function(lambda: self._calls)

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken."""
        return self._is_draining

    async def answer(self, request: ChatRequest, request_id: str, on_text: OnText) -> ChatResult:
        """The model's answer to a request. Cancelling it closes the call to OpenAI.

        Args:
            request: What is asked.
            request_id: Sent along, for OpenAI's logs.
            on_text: Takes the texts as they come, where a stream was asked for.

        Raises:
            UpstreamFailure: OpenAI gave no answer, or not to its end; or there are reasons not to ask it.
        """
        key = key_of(request)
        stored = await self._admit(key, request)
        if stored is not None:
            _REPLAYS.inc()
            tell(outcome="replayed", message_id=request.metadata.message_id)
            return stored
        self._calls += 1
        progress = _Progress(on_text, asyncio.get_running_loop().time())
        try:
            result = await self._attempts(request, request_id, progress)
            progress.outcome = "answered"
            if request.stream and result.text:
                progress.has_text()
            await self._records.finish(key, result)
            _count_tokens(result)
        except UpstreamFailure as error:
            failure = _shutting_down() if self._is_cut else error
            progress.outcome, progress.code = "failed", failure.failure.code
            raise failure from None
        finally:
            _answers(progress.outcome, progress.code or "").inc()
            _tell_chat(request, progress)
            try:
                await self._records.forget(key)
            finally:
                self._calls -= 1
                if not self._calls:
                    self._idle.set()
        return result

    async def drain(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way finish for a while, then cut them and close the connections."""
        self._is_draining = True
        try:
            async with asyncio.timeout(grace_seconds):
                while self._calls:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.warning("drain_cut", count=self._calls)
        self._is_cut = True
        for upstream in self._upstreams:
            await upstream.close()

    async def _admit(self, key: Key, request: ChatRequest) -> ChatResult | None:
        """The stored answer, or None where OpenAI is to be asked."""
        try:
            stored = await self._records.begin(key, fingerprint_of(request))
        except MessageInFlight:
            raise UpstreamFailure("message_in_flight", retry_after_seconds=_IN_FLIGHT_RETRY_SECONDS) from None
        except OtherContent:
            raise UpstreamFailure("idempotency_mismatch") from None
        except RecordsUnavailable:
            raise UpstreamFailure("idempotency_store_unavailable") from None
        if stored is not None:
            return stored
        if self._is_draining or self._calls >= self._max_calls:
            await self._records.forget(key)
            if self._is_draining:
                raise _shutting_down()
            raise UpstreamFailure("gateway_busy")
        return None

    async def _attempts(self, request: ChatRequest, request_id: str, progress: _Progress) -> ChatResult:
        """Attempts, until one brings something; what has begun cannot be begun again."""
        body = encode_request(request)
        total_at = progress.started_at + self._total_seconds
        failed: list[Upstream] = []
        while True:
            progress.attempt += 1
            upstream = self._choose(failed)
            progress.upstream = upstream.name
            code = "abandoned"
            try:
                with _attempt_span(request, upstream) as attempt_span:
                    if request.stream:
                        result = await upstream.stream(body, request_id, progress.pass_on, total_at=total_at)
                    else:
                        result = await upstream.complete(body, request_id, total_at=total_at)
                    upstream.breaker.succeeded()
                    code = "ok"
                    _tell_usage(attempt_span, result)
                return structs.replace(result, upstream=upstream.name)
            except UpstreamFailure as error:
                code = error.failure.code
                if error.failure.type == UPSTREAM:
                    upstream.breaker.failed()
                    failed.append(upstream)
                if progress.deltas or self._is_draining:
                    raise
                wait_seconds = self._wait_seconds(progress.attempt, error, failed)
                if wait_seconds is None or asyncio.get_running_loop().time() + wait_seconds >= total_at:
                    raise
                log.warning("upstream_retry", code=error.failure.code, attempt=progress.attempt, upstream=upstream.name)
            finally:
                _attempts(upstream.name, code).inc()
                upstream.breaker.abandoned()
            await asyncio.sleep(wait_seconds)
            if self._is_draining:
                raise _shutting_down()

    def _choose(self, failed: Sequence[Upstream]) -> Upstream:
        """The first place that has not failed this call and is worth asking; where there is none, the least bad.

        A breaker only chooses between places. It refuses no call: with nowhere else to go, asking costs nobody.
        """
        fresh = [upstream for upstream in self._upstreams if upstream not in failed]
        for upstream in fresh:
            if upstream.breaker.allows():
                return upstream
        return (fresh or self._upstreams)[0]

    def _wait_seconds(self, attempt: int, error: UpstreamFailure, failed: Sequence[Upstream]) -> float | None:
        """The wait before the next attempt: none where another place is left to ask; None where it is the end."""
        if error.failure.type == UPSTREAM and any(upstream not in failed for upstream in self._upstreams):
            return 0.0
        return self._retries.wait_seconds(attempt, error)


def _shutting_down() -> UpstreamFailure:
    return UpstreamFailure("shutting_down", retry_after_seconds=_DRAINING_RETRY_SECONDS)


def _attempt_span(request: ChatRequest, upstream: Upstream) -> Span:
    """An attempt as OpenTelemetry's conventions for generative AI have it."""
    return span(
        f"chat {request.model}",
        "client",
        lambda: {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.system": "openai",  # what it was called before, and is by many backends
            "gen_ai.request.model": request.model,
            "gen_ai.request.max_tokens": request.max_completion_tokens,
            "gen_ai.conversation.id": str(request.metadata.conversation_id),
            "server.address": upstream.host,
            "b2b_chat.upstream": upstream.name,
        },
    )


def _tell_usage(attempt: Span, result: ChatResult) -> None:
    if result.usage is not None:
        attempt.set(
            {
                "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
                "gen_ai.usage.output_tokens": result.usage.completion_tokens,
            }
        )


def _count_tokens(result: ChatResult) -> None:
    if result.usage is not None:
        _tokens("prompt").inc(result.usage.prompt_tokens)
        _tokens("completion").inc(result.usage.completion_tokens)


def _tell_chat(request: ChatRequest, progress: _Progress) -> None:
    tell(
        outcome=progress.outcome,
        code=progress.code,
        attempt=progress.attempt,
        deltas=progress.deltas,
        upstream=progress.upstream,
        company_id=request.metadata.company_id,
        user_id=request.metadata.user_id,
        conversation_id=request.metadata.conversation_id,
        message_id=request.metadata.message_id,
    )
