"""The composition root of gateway_api."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from b2b_chat.contract.schemas import ChatRequest
from b2b_chat.gateway.answers import Answers
from b2b_chat.gateway.api_words import WORDS
from b2b_chat.gateway.chat_endpoint import ChatEndpoint
from b2b_chat.gateway.errors import on_exception
from b2b_chat.gateway.log_ids import configure_log_ids
from b2b_chat.gateway.openapi import chat, documents, openapi_config
from b2b_chat.gateway.routes import ping
from b2b_chat.gateway.settings import GatewaySettings, load_settings
from b2b_chat.gateway.stores import Stores
from b2b_chat.gateway.upstream import open_upstreams
from b2b_chat.gateway.verification import Verification
from b2b_chat.kit import metrics, tracing
from b2b_chat.kit.api_document.finish import finish
from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.draining import drained_on_sigterm
from b2b_chat.kit.garbage import spare_collector
from b2b_chat.kit.health import Readiness, draining_check, health, health_head, ready_route
from b2b_chat.kit.logging import configure_logging
from b2b_chat.kit.openapi import ExactStructs
from b2b_chat.kit.request_body import UnreadBodies
from b2b_chat.kit.request_id import RequestId
from b2b_chat.kit.security_headers import SecurityHeaders
from b2b_chat.kit.service_manager import report_ready
from b2b_chat.kit.strict_json import StrictJsonRequest
from b2b_chat.kit.strict_query import StrictQueries

_SERVER: Final = "https://gateway.example.com"
"""In the document, which no installation serves: where its gateway is, only product_api's settings say."""


def create_app(settings: GatewaySettings | None = None, *, clock: Clock = utc_now) -> ASGIApp:
    """Build gateway_api.

    Args:
        settings: Read from the environment where there are none.
        clock: The time by which signatures are judged.

    Raises:
        SettingsError: The environment does not make valid settings.
    """
    if settings is None:
        settings = load_settings()
    configure_logging("gateway_api", level="DEBUG" if settings.debug else settings.log_level)
    configure_log_ids(settings)
    stores = Stores(settings, clock)
    answers = Answers(open_upstreams(settings), stores.records, settings)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with (
            metrics.exported(settings.metrics_host, settings.gateway_metrics_port, workers=settings.workers),
            tracing.exported("gateway_api", settings.otel_exporter_otlp_endpoint),
            stores.kept(),
            drained_on_sigterm(lambda: answers.drain(settings.shutdown_grace_seconds), listens_meanwhile=False),
        ):
            spare_collector()
            report_ready()
            yield

    readiness = Readiness(
        {"draining": draining_check(lambda: answers.is_draining), **stores.checks},
        cache_seconds=settings.readiness_cache_seconds,
        timeout_seconds=settings.readiness_timeout_seconds,
    )
    app: ASGIApp = _litestar(
        clock, readiness, settings.gateway_max_body_bytes, openapi_config=None, lifespan=[lifespan]
    )
    app = ChatEndpoint(app, answers.answer, settings)
    app = Verification(app, settings=settings, nonces=stores.nonces, clock=clock)
    return RequestId(SecurityHeaders(UnreadBodies(app)))


def openapi_schema() -> dict[str, Any]:
    """Return the OpenAPI document. It is not served; the command line prints it."""
    config, structs = openapi_config(version("b2b-chat")), ExactStructs()
    described = _litestar(None, None, 0, chat, openapi_config=config, plugins=[structs])
    document = described.openapi_schema.to_schema()
    # Litestar documents neither that unknown fields are refused, nor the limits of what is inside a union.
    _, exact = msgspec.json.schema_components([ChatRequest], ref_template="#/components/schemas/{name}")
    document["components"]["schemas"].update(exact)
    portable: dict[str, Any] = json.loads(json.dumps(document).replace(r"\\Z", "$"))  # only Python ends texts so
    return finish(portable, structs, WORDS, _SERVER)


def _litestar(
    clock: Clock | None,
    readiness: Readiness | None,
    max_body_bytes: int,
    *described: HTTPRouteHandler,
    **options: Any,
) -> Litestar:
    return Litestar(
        route_handlers=[
            health,
            health_head,
            *ready_route(documents(("not_ready", "internal_error"))),
            ping,
            *described,
        ],
        exception_handlers={Exception: on_exception},
        middleware=[StrictQueries],
        request_class=StrictJsonRequest,
        request_max_body_size=None,  # Verification has its own limit, and has read the body
        dependencies={
            "clock": Provide(lambda: clock, use_cache=True, sync_to_thread=False),
            "max_body_bytes": Provide(lambda: max_body_bytes, use_cache=True, sync_to_thread=False),
            "readiness": Provide(lambda: readiness, use_cache=True, sync_to_thread=False),
        },
        logging_config=None,
        **options,
    )
