"""Answering a chat: once a message, how many at once, how many attempts, at which upstream, and within what time."""

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import structs

from b2b_chat.contract.errors import UPSTREAM
from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.gateway import telemetry
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
from b2b_chat.gateway.telemetry import CallTelemetry
from b2b_chat.gateway.upstream import OnText, Upstream

_IN_FLIGHT_RETRY_SECONDS = 1
_DRAINING_RETRY_SECONDS = 2

log = structlog.get_logger(__name__)


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
        telemetry.watch(lambda: self._calls, upstreams)

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken."""
        return self._is_draining

    async def answer(self, request: ChatRequest, request_id: str, on_text: OnText) -> ChatResult:
        """Return the model's answer to a request. Cancelling it closes the call to OpenAI.

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
            telemetry.count_replay(request)
            return stored
        self._calls += 1
        call = CallTelemetry(request, on_text)
        try:
            result = await self._attempts(request, request_id, call)
            call.answered(result)
            await self._records.finish(key, result)
        except UpstreamFailure as error:
            failure = _shutting_down() if self._is_cut else error
            call.failed(failure.code)
            raise failure from None
        finally:
            call.end()
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

    async def _attempts(self, request: ChatRequest, request_id: str, call: CallTelemetry) -> ChatResult:
        """Make attempts until one succeeds; an answer that has begun is never begun again."""
        body = encode_request(request)
        total_at = call.started_at + self._total_seconds
        failed: list[Upstream] = []
        while True:
            upstream = self._choose(failed)
            code = "abandoned"
            try:
                with call.attempt_begins(upstream) as span:
                    if request.stream:
                        result = await upstream.stream(body, request_id, call.pass_on, total_at=total_at)
                    else:
                        result = await upstream.complete(body, request_id, total_at=total_at)
                    upstream.breaker.succeeded()
                    code = "ok"
                    telemetry.describe_result(span, result)
                return structs.replace(result, upstream=upstream.name)
            except UpstreamFailure as error:
                code = error.code
                if error.failure.type == UPSTREAM:
                    upstream.breaker.failed()
                    failed.append(upstream)
                if call.deltas or self._is_draining:
                    raise
                wait_seconds = self._wait_seconds(call.attempt, error, failed)
                if wait_seconds is None or asyncio.get_running_loop().time() + wait_seconds >= total_at:
                    raise
                log.warning("upstream_retry", code=code, attempt=call.attempt, upstream=upstream.name)
            finally:
                telemetry.count_attempt(upstream, code)
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
