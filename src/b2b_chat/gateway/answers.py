"""Answering a chat: once a message, how many at once, how many attempts, at which upstream, and within what time."""

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import UnsetType, structs

from b2b_chat.contract.content import Piece
from b2b_chat.contract.errors import ACCOUNT_FAULTS, UPSTREAM
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
from b2b_chat.gateway.retries import NEVER_REPEATED, RetryPolicy
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.gateway.telemetry import CallTelemetry
from b2b_chat.gateway.upstream import OnPiece, Upstream
from b2b_chat.kit.shares import Shares

_IN_FLIGHT_RETRY_SECONDS = 1
_DRAINING_RETRY_SECONDS = 2

log = structlog.get_logger(__name__)


class Answers:
    """Gets answers from OpenAI, with as much patience as the settings allow."""

    def __init__(self, upstreams: Sequence[Upstream], records: Records, settings: GatewaySettings) -> None:
        self._upstreams = upstreams
        self._records = records
        self._total_seconds = settings.upstream_total_timeout_seconds
        self._first_token_seconds = settings.upstream_first_token_timeout_seconds
        self._impatient_first_token_seconds = min(
            self._first_token_seconds, settings.upstream_first_token_timeout_with_fallback_seconds
        )
        self._retries = RetryPolicy(
            max_attempts=settings.upstream_max_attempts,
            base_seconds=settings.upstream_retry_base_seconds,
            cap_seconds=settings.upstream_retry_cap_seconds,
        )
        self._calls = Shares(settings.upstream_max_connections, settings.upstream_company_share_percent)
        self._idle = asyncio.Event()
        self._is_draining = False
        self._is_cut = False
        telemetry.watch(lambda: self._calls.total, upstreams)

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken."""
        return self._is_draining

    async def answer(self, request: ChatRequest, request_id: str, on_piece: OnPiece) -> ChatResult:
        """Return the model's answer to a request. Cancelling it closes the call to OpenAI.

        Args:
            request: What is asked.
            request_id: Sent along, for OpenAI's logs.
            on_piece: Takes the pieces as they come, where a stream was asked for.

        Raises:
            UpstreamFailure: OpenAI gave no answer, or not to its end; or there are reasons not to ask it.
        """
        key = key_of(request)
        stored = await self._admit(key, request)
        if stored is not None:
            telemetry.count_replay(request)
            return stored
        company_id = request.metadata.company_id
        self._calls.take(company_id)
        call = CallTelemetry(request, on_piece)
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
                self._calls.give_back(company_id)
                if not self._calls.total:
                    self._idle.set()
        return result

    async def drain(self, grace_seconds: float) -> None:
        """Take no new calls, let those under way finish for a while, then cut them and close the connections."""
        self._is_draining = True
        try:
            async with asyncio.timeout(grace_seconds):
                while self._calls.total:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.warning("drain_cut", count=self._calls.total)
        self._is_cut = True
        for upstream in self._upstreams:
            await upstream.close()

    async def _admit(self, key: Key, request: ChatRequest) -> ChatResult | None:
        """Return the stored answer, or None where OpenAI must be asked."""
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
        if self._is_draining or not self._calls.has_room_for(request.metadata.company_id):
            await self._records.forget(key)
            if self._is_draining:
                raise _shutting_down()
            raise UpstreamFailure("gateway_busy" if self._calls.is_full else "company_busy")
        return None

    async def _attempts(self, request: ChatRequest, request_id: str, call: CallTelemetry) -> ChatResult:
        """Make attempts until one succeeds; an answer that has begun is never begun again."""
        total_at = call.started_at + self._total_seconds
        choice = _Choice(self._upstreams, avoid=request.avoid_upstream)
        while True:
            upstream = choice.next()
            code = "abandoned"
            try:
                with call.attempt_begins(upstream) as span:
                    result = await self._ask(upstream, request, request_id, call, choice=choice, total_at=total_at)
                    upstream.breaker.succeeded()
                    code = "ok"
                    telemetry.describe_result(span, result)
                return structs.replace(result, upstream=upstream.name)
            except UpstreamFailure as error:
                code = error.code
                choice.failed(error)
                if call.deltas:
                    error.upstream = upstream.name
                wait_seconds = self._wait_seconds(call, error, choice)
                if wait_seconds is None or asyncio.get_running_loop().time() + wait_seconds >= total_at:
                    raise
                log.warning("upstream_retry", code=code, attempt=call.attempt, upstream=upstream.name)
            finally:
                telemetry.count_attempt(upstream, code)
                upstream.breaker.abandoned()
            await asyncio.sleep(wait_seconds)
            if self._is_draining:
                raise _shutting_down()

    async def _ask(
        self,
        upstream: Upstream,
        request: ChatRequest,
        request_id: str,
        call: CallTelemetry,
        *,
        choice: "_Choice",
        total_at: float,
    ) -> ChatResult:
        """Make one attempt.

        Where another upstream may be asked, a whole answer is fetched as a stream too: only a stream shows in time
        whether the upstream answers at all.
        """
        if not (request.stream or choice.has_other):
            return await upstream.complete(encode_request(request, stream=False), request_id, total_at=total_at)
        return await upstream.stream(
            encode_request(request, stream=True),
            request_id,
            call.pass_on if request.stream else _keep_for_the_end,
            first_token_seconds=self._first_token_wait(choice),
            total_at=total_at,
        )

    def _first_token_wait(self, choice: "_Choice") -> float:
        return self._impatient_first_token_seconds if choice.has_other else self._first_token_seconds

    def _wait_seconds(self, call: CallTelemetry, error: UpstreamFailure, choice: "_Choice") -> float | None:
        """Return the wait before the next attempt, 0 at another upstream; None where it was the last."""
        if call.deltas or self._is_draining or not choice.is_left:
            return None
        if choice.has_fresh and _is_fault(error):
            return 0.0
        return self._retries.wait_seconds(call.attempt, error)


class _Choice:
    """Chooses the upstream of each attempt of one call."""

    def __init__(self, upstreams: Sequence[Upstream], *, avoid: str | UnsetType) -> None:
        self._left = sorted(upstreams, key=lambda upstream: upstream.name == avoid)
        self._fresh = list(self._left)
        self._current = self._left[0]

    @property
    def is_left(self) -> bool:
        """Whether any upstream may be asked again in this call."""
        return bool(self._left)

    @property
    def has_fresh(self) -> bool:
        """Whether an upstream is left that has not failed this call."""
        return bool(self._fresh)

    @property
    def has_other(self) -> bool:
        """Whether one beside the current is left that has not failed this call and seems to work."""
        return any(upstream is not self._current and upstream.breaker.is_closed for upstream in self._fresh)

    def next(self) -> Upstream:
        """Return the first that has not failed this call and whose breaker allows it; where there is none, the best.

        A breaker only chooses between upstreams. It refuses no call: with no other upstream, asking costs nobody.
        """
        for upstream in self._fresh:
            if upstream.breaker.allows():
                break
        else:
            upstream = (self._fresh or self._left)[0]
        self._current = upstream
        return upstream

    def failed(self, error: UpstreamFailure) -> None:
        """Take note of how the current one failed.

        Nothing changes within a call at an account without money or rights, and an upstream that took all the time
        for its first text would take it again.
        """
        if not _is_fault(error):
            return
        self._current.breaker.failed()
        if self._current in self._fresh:
            self._fresh.remove(self._current)
        if error.has_waited or error.code in ACCOUNT_FAULTS:
            self._left.remove(self._current)


async def _keep_for_the_end(_piece: Piece) -> None:
    """Take a piece of an answer that goes out whole: it is in the result too."""


def _is_fault(error: UpstreamFailure) -> bool:
    """Return whether the upstream failed, so that another may do better; an empty answer is the model's doing."""
    return error.failure.type == UPSTREAM and error.code not in NEVER_REPEATED


def _shutting_down() -> UpstreamFailure:
    return UpstreamFailure("shutting_down", retry_after_seconds=_DRAINING_RETRY_SECONDS)
