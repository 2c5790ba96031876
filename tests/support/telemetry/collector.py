"""An OpenTelemetry collector on a socket: it takes spans by OTLP over HTTP, as protobuf."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.http.serving import free_port


class SeenSpan:
    """A span, and which service made it."""

    def __init__(self, service: str, span: Span) -> None:
        self.service = service
        self.name = span.name
        self.kind = Span.SpanKind.Name(span.kind)
        self.trace_id = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.is_failed = span.status.code == 2
        self.attributes: dict[str, Any] = {
            each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in span.attributes
        }
        self.events = list(span.events)


class Collector:
    """Keeps what it was sent."""

    def __init__(self) -> None:
        self.port = free_port()
        self.written = b""
        """All bodies as they came."""
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[SeenSpan]:
        """All spans so far."""
        return [
            SeenSpan(_service(resource_spans), span)
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Collector"]:
        """Take spans on `port`."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        assert request.content_type == "application/x-protobuf"
        self.written += body
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(content_type="application/x-protobuf")


def _service(resource_spans: Any) -> str:
    (name,) = [each.value.string_value for each in resource_spans.resource.attributes if each.key == "service.name"]
    return str(name)
