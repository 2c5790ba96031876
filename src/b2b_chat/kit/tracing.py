"""Traces by OpenTelemetry, off unless a collector's address is set: which calls a message makes, and their time.

Spans hold ids, codes, counts and templates of routes. Nothing else gets in: no text of an exception, no address with
its query, no header. While traces are off nothing of OpenTelemetry is imported, and a span costs a comparison.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

Kind: TypeAlias = Literal["server", "client"]
Attributes: TypeAlias = Mapping[str, str | int]

_LONGEST_FLUSH_SECONDS: Final = 5


class Span:
    """One piece of work, for as long as its `with` block runs. Without traces it does nothing."""

    headers: Mapping[str, str] = {}
    """The headers by which a callee's spans become children of this one (W3C Trace Context)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        return None

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""

    def answered(self, method: str, route: str, status: int) -> None:
        """Name a server's span after its route, and record the status."""


_NO_SPAN: Final = Span()
_current: ContextVar[Span] = ContextVar("current_span", default=_NO_SPAN)
_tracer: "_Tracer | None" = None


def span(name: str, kind: Kind, attributes: Callable[[], Attributes]) -> Span:
    """A span, to be used by `with`: a child of the one that the running task is in.

    Args:
        name: Of the span.
        kind: `client` for a call to another process.
        attributes: Makes the span's attributes, where there are traces.
    """
    return _NO_SPAN if _tracer is None else _RecordedSpan(_tracer, name, kind, attributes(), {})


def serving(headers: Iterable[tuple[bytes, bytes]], attributes: Attributes) -> Span:
    """The span of a request: a child of the caller's, where the caller sends one along.

    Of the caller's headers its `traceparent` alone counts: `tracestate` and `baggage` are text, which would travel on.
    """
    if _tracer is None:
        return _NO_SPAN
    carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name == b"traceparent"}
    return _RecordedSpan(_tracer, "request", "server", attributes, carrier)


def outgoing_headers() -> Mapping[str, str]:
    """Return the headers that carry the trace to the callee; empty while traces are off."""
    return _current.get().headers


@asynccontextmanager
async def exported(app: str, endpoint: str | None) -> AsyncIterator[None]:
    """Record traces within the block and send them to a collector; without an endpoint do nothing.

    Which are kept, what is sent along and how they are batched is set by OpenTelemetry's own variables, as
    OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS.

    Args:
        app: The service's name.
        endpoint: Where the collector takes OTLP over HTTP, without `/v1/traces`.
    """
    global _tracer  # noqa: PLW0603 - a process has one, as it has one log
    if endpoint is None:
        yield
        return
    _tracer = _Tracer(app, endpoint)
    try:
        yield
    finally:
        tracer, _tracer = _tracer, None
        # A collector that is away must not delay the end.
        await asyncio.wait({asyncio.ensure_future(asyncio.to_thread(tracer.close))}, timeout=_LONGEST_FLUSH_SECONDS)


class _Tracer:
    """OpenTelemetry's SDK, imported when there is one of these."""

    def __init__(self, app: str, endpoint: str) -> None:
        # Imported where it is used: it is an extra, and takes a fifth of a second.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        our_version = version("b2b-chat")
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": app, "service.version": our_version}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._otel = self._provider.get_tracer("b2b_chat", our_version)
        self._kinds = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}
        self._in_context = set_span_in_context
        self._propagator = TraceContextTextMapPropagator()
        self.error = StatusCode.ERROR

    def start(self, name: str, kind: Kind, attributes: Attributes, parent: Mapping[str, str]) -> Any:
        """Begin a span, a child of the one that the headers name; without headers it has no parent."""
        context = self._propagator.extract(parent)
        return self._otel.start_span(name, context=context, kind=self._kinds[kind], attributes=dict(attributes))

    def headers_of(self, otel_span: Any) -> dict[str, str]:
        """A span as headers."""
        headers: dict[str, str] = {}
        self._propagator.inject(headers, context=self._in_context(otel_span))
        return headers

    def close(self) -> None:
        """Send the spans that are left, and end."""
        self._provider.shutdown()


class _RecordedSpan(Span):
    def __init__(
        self, tracer: _Tracer, name: str, kind: Kind, attributes: Attributes, carrier: Mapping[str, str]
    ) -> None:
        self._tracer = tracer
        self._outer = _current.get()
        # As headers a parent looks the same, whether it is ours or a caller's.
        self._otel = tracer.start(name, kind, attributes, carrier if kind == "server" else self._outer.headers)
        self.headers = tracer.headers_of(self._otel)

    def __enter__(self) -> Self:
        _current.set(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # Not by a token: a generator may be closed in another context than the one it began in.
        _current.set(self._outer)
        if error is not None:
            # The name alone: a message may quote anything.
            code = getattr(error, "code", None)
            self._fail(code if isinstance(code, str) else type(error).__name__)
        self._otel.end()

    def set(self, attributes: Attributes) -> None:
        self._otel.set_attributes(dict(attributes))

    def answered(self, method: str, route: str, status: int) -> None:
        self._otel.update_name(f"{method} {route}")
        self.set({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if status >= 500:  # noqa: PLR2004 - a server's failure
            self._fail(str(status))

    def _fail(self, code: str) -> None:
        self._otel.set_attribute("error.type", code)
        self._otel.set_status(self._tracer.error)
