"""What operators see of the calls: metrics, spans, and the fields of each call's log line."""

import asyncio
from collections.abc import Callable, Iterable
from functools import cache, partial

from prometheus_client import Counter, Gauge, Histogram

from b2b_chat.contract.content import Piece
from b2b_chat.contract.errors import FAILURES, UPSTREAM, Code
from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.gateway.log_ids import logged
from b2b_chat.gateway.upstream import OnPiece, Upstream
from b2b_chat.kit.metrics import ANSWER_BUCKETS_SECONDS
from b2b_chat.kit.request_id import note_in_access_log
from b2b_chat.kit.tracing import Span, span

_ANSWERS = Counter("gateway_answers", "Calls by how they ended, and the code of failed ones.", ["outcome", "code"])
_REPLAYS = Counter("gateway_replays", "Answers repeated from the records.")
_CALLS = Gauge("gateway_calls", "Calls that are being answered.")
_FIRST_TEXT_SECONDS = Histogram(
    "gateway_first_text_seconds", "Time to the first text of an answer.", buckets=ANSWER_BUCKETS_SECONDS
)
_ATTEMPTS = Counter("gateway_upstream_attempts", "Calls to OpenAI; `ok` or how they failed.", ["upstream", "code"])
_TOKENS = Counter("gateway_tokens", "Tokens as OpenAI counted them.", ["kind"])
_BREAKER_OPEN = Gauge(
    "gateway_breaker_open", "1 while an upstream is left alone because it kept failing.", ["upstream"]
)
# Looking a series up by its labels costs more than counting.
_answers, _attempts, _tokens = cache(_ANSWERS.labels), cache(_ATTEMPTS.labels), cache(_TOKENS.labels)


class CallTelemetry:
    """Follows one call from its admission to its end."""

    def __init__(self, request: ChatRequest, on_piece: OnPiece) -> None:
        self.started_at = asyncio.get_running_loop().time()
        self.attempt = 0
        self.deltas = 0
        self.upstream: str | None = None
        self._request = request
        self._on_piece = on_piece
        self._outcome = "abandoned"
        self._code: Code | None = None

    async def pass_on(self, piece: Piece) -> None:
        """Pass a piece on to the caller, and count it."""
        if not self.deltas:
            self._time_first_text()
        self.deltas += 1
        await self._on_piece(piece)

    def attempt_begins(self, upstream: Upstream) -> Span:
        """Count an attempt, and open its span."""
        self.attempt += 1
        self.upstream = upstream.name
        return _attempt_span(self._request, upstream)

    def answered(self, result: ChatResult) -> None:
        """Note a good answer."""
        self._outcome = "answered"
        if self._request.stream and not self.deltas:  # all of its text came with the end
            self._time_first_text()
        if result.usage is not None:
            _tokens("prompt").inc(result.usage.prompt_tokens)
            _tokens("completion").inc(result.usage.completion_tokens)

    def failed(self, code: Code) -> None:
        """Note that the call failed."""
        self._outcome, self._code = "failed", code

    def end(self) -> None:
        """Count the call, and write its fields into the access-log line."""
        _answers(self._outcome, self._code or "").inc()
        metadata = self._request.metadata
        note_in_access_log(
            outcome=self._outcome,
            code=self._code,
            attempt=self.attempt,
            deltas=self.deltas,
            upstream=self.upstream,
            company_id=logged(metadata.company_id),
            user_id=logged(metadata.user_id),
            conversation_id=logged(metadata.conversation_id),
            message_id=logged(metadata.message_id),
        )

    def _time_first_text(self) -> None:
        _FIRST_TEXT_SECONDS.observe(asyncio.get_running_loop().time() - self.started_at)


def watch(count_calls: Callable[[], int], upstreams: Iterable[Upstream]) -> None:
    """Export what can be read at any time, and the series that alerts wait for.

    A series that begins with its first failure shows Prometheus no rise, and no alert fires.
    """
    _CALLS.set_function(count_calls)
    codes: list[str] = [code for code, failure in FAILURES.items() if failure.type == UPSTREAM]
    for upstream in upstreams:
        _BREAKER_OPEN.labels(upstream.name).set_function(partial(_is_open, upstream))
        for code in ("ok", *codes):
            _ATTEMPTS.labels(upstream.name, code)


def _is_open(upstream: Upstream) -> bool:
    return not upstream.breaker.is_closed


def count_replay(request: ChatRequest) -> None:
    """Count an answer that was repeated from the records."""
    _REPLAYS.inc()
    note_in_access_log(outcome="replayed", message_id=logged(request.metadata.message_id))


def count_attempt(upstream: Upstream, code: str) -> None:
    """Count an attempt by how it ended."""
    _attempts(upstream.name, code).inc()


def describe_result(attempt: Span, result: ChatResult) -> None:
    """Write how an answer ended and its tokens into the span of its attempt."""
    attempt.set({"b2b_chat.finish_reason": result.finish_reason})
    if result.usage is not None:
        attempt.set(
            {
                "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
                "gen_ai.usage.output_tokens": result.usage.completion_tokens,
            }
        )


def _attempt_span(request: ChatRequest, upstream: Upstream) -> Span:
    """Open the span of an attempt, as OpenTelemetry's conventions for generative AI describe it."""
    return span(
        f"chat {request.model}",
        "client",
        lambda: {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.system": "openai",  # the older name of the same, which many backends still read
            "gen_ai.request.model": request.model,
            "gen_ai.request.max_tokens": request.max_completion_tokens,
            "gen_ai.conversation.id": logged(request.metadata.conversation_id),
            "server.address": upstream.host,
            "b2b_chat.upstream": upstream.name,
        },
    )
