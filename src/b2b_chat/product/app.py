"""The composition root of product_api: what depends on what, and in which order it starts and stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, ScalarRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp

from b2b_chat.kit import metrics, tracing
from b2b_chat.kit.background import running
from b2b_chat.kit.database import Database
from b2b_chat.kit.draining import drained_on_sigterm
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.garbage import spare_collector
from b2b_chat.kit.health import NotReady, health, health_head, ready_route
from b2b_chat.kit.logging import configure_logging
from b2b_chat.kit.openapi import ExactStructs
from b2b_chat.kit.request_id import RequestId
from b2b_chat.kit.security_headers import SecurityHeaders
from b2b_chat.kit.valkey import valkey_of
from b2b_chat.product.administration import ADMINISTRATION_ROUTES, Administration
from b2b_chat.product.audit.refusals import refusal_recorder
from b2b_chat.product.chat.gateway_client import GatewayClient, GatewayOptions
from b2b_chat.product.chat.prompts import ChatLimits
from b2b_chat.product.chat.relay.options import RelayOptions
from b2b_chat.product.chat.relay.service import Relay
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.routes import ChatRoutes, Entrance, StreamOptions
from b2b_chat.product.chat.runs import RunOptions, Runs
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.chat.sweeper import keep_leases
from b2b_chat.product.configuration import load_settings
from b2b_chat.product.conversations.routes import ConversationRoutes
from b2b_chat.product.conversations.service import Conversations
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.credits.routes import CompanyUsageRoutes, CreditRoutes, MyUsageRoutes
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.credits.usage import UsageReports
from b2b_chat.product.errors import documents, refuse
from b2b_chat.product.guards import provide_viewer
from b2b_chat.product.identity.routes import LoginRoutes, MeRoutes
from b2b_chat.product.limits.valkey import WindowsInValkey
from b2b_chat.product.operators.health import LiveHealth
from b2b_chat.product.people import People
from b2b_chat.product.readiness import readiness_of
from b2b_chat.product.request_bodies import JsonRequest
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import transaction_factory
from b2b_chat.product.web.company_pages import CompanyPages
from b2b_chat.product.web.operator_pages import OperatorPages, health_part
from b2b_chat.product.web.routes import WebRoutes

_PAGE_POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src data: https:; "
        "style-src 'unsafe-inline' https://cdn.jsdelivr.net; font-src https:; connect-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
}
"""What the page at /openapi, which is for developers and not there in production, may load."""


def create_app(settings: ProductSettings | None = None) -> ASGIApp:
    """The ASGI app that Granian serves; settings come from the environment unless given."""
    settings = settings or load_settings()
    configure_logging("product_api", level="DEBUG" if settings.debug else settings.log_level)
    return RequestId(SecurityHeaders(create_litestar(settings)))


def create_litestar(settings: ProductSettings) -> Litestar:
    """The Litestar app inside, which also knows the OpenAPI description."""
    database = open_database(settings)
    gateway = GatewayClient(gateway_options(settings))
    prices = Prices(settings.price_prompt_credits_per_1k_tokens, settings.price_completion_credits_per_1k_tokens)
    repository = RunRepository(database, lease_seconds=settings.chat_lease_seconds)
    runs = Runs(repository, gateway, prices, run_options(settings))
    transaction = transaction_factory(database)
    valkey = valkey_of(settings)
    people = People(settings, database, transaction, windows=WindowsInValkey(valkey) if valkey else None)
    administration = Administration(settings, transaction, people.outbox, people.limits)
    limits = chat_limits(settings)
    relay = None if valkey is None else Relay(valkey, runs, relay_options(settings))
    chat = Chat(repository, runs, prices, limits, None if relay is None else relay.following)
    readiness = readiness_of(settings, database, valkey, gateway, chat)
    stream_options = StreamOptions(settings.sse_keep_alive_seconds)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        await database.open()
        await gateway.open()
        app.state.gatekeeper = people.gatekeeper
        keeping = asyncio.create_task(keep_leases(runs, repository, lease_seconds=settings.chat_lease_seconds))
        spare_collector()
        try:
            async with (
                metrics.exported(settings.metrics_host, settings.product_metrics_port, workers=settings.workers),
                tracing.exported("product_api", settings.otel_exporter_otlp_endpoint),
                nullcontext() if relay is None else relay.open(),
                running(*people.background()),
                drained_on_sigterm(lambda: chat.drain(settings.shutdown_grace_seconds)),
            ):
                yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await gateway.close()
            await people.finish()
            await database.close()
            if valkey is not None:
                await valkey.close()

    return Litestar(
        route_handlers=[
            health,
            health_head,
            *ready_route(documents(NotReady)),
            LoginRoutes,
            MeRoutes,
            ChatRoutes,
            ConversationRoutes,
            CreditRoutes,
            CompanyUsageRoutes,
            MyUsageRoutes,
            WebRoutes,
            CompanyPages,
            OperatorPages,
            health_part,
            *ADMINISTRATION_ROUTES,
        ],
        lifespan=[lifespan],
        dependencies={
            "viewer": Provide(provide_viewer),
            "readiness": _given(readiness),
            "logins": _given(people.logins),
            "sessions": _given(people.sessions),
            "session_cookie": _given(people.session_cookie),
            "limits": _given(people.limits),
            "client_ip": _given(people.client_ip),
            **{name: _given(service) for name, service in administration.services.items()},
            "chat": _given(chat),
            "conversations": _given(Conversations(transaction)),
            "credit": _given(Credits(transaction)),
            "usage": _given(UsageReports(transaction)),
            "live_health": _given(LiveHealth(readiness, gateway, settings.readiness_timeout_seconds)),
            "stream_options": _given(stream_options),
            "entrance": _given(Entrance(chat, people.limits, people.client_ip, stream_options)),
        },
        after_exception=[refusal_recorder(administration.audit)],
        exception_handlers={Refusal: refuse, HTTPException: refuse, Exception: refuse},
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes,
        plugins=[ExactStructs()],
        openapi_config=_openapi(people.session_cookie.name, with_page=settings.app_env != "prod"),
        logging_config=None,
        debug=False,
    )


def open_database(settings: ProductSettings) -> Database:
    """The database of these settings."""
    return Database(
        settings.database_url.reveal(),
        pool_size=settings.database_pool_size,
        session_pool_size=settings.database_session_pool_size,
        acquire_seconds=settings.database_acquire_timeout_seconds,
        statement_seconds=settings.database_statement_timeout_seconds,
        pgbouncer=settings.database_pgbouncer,
    )


def run_options(settings: ProductSettings) -> RunOptions:
    """How runs are kept."""
    return RunOptions(
        lease_seconds=settings.chat_lease_seconds,
        resume_window_seconds=settings.chat_resume_window_seconds,
        max_completion_tokens=settings.chat_max_completion_tokens,
    )


def chat_limits(settings: ProductSettings) -> ChatLimits:
    """How much may be said at once."""
    return ChatLimits(
        context_messages=settings.chat_context_limit,
        context_tokens=settings.chat_context_max_tokens,
        request_bytes=settings.chat_request_max_bytes,
        message_chars=settings.max_message_chars,
        max_completion_tokens=settings.chat_max_completion_tokens,
        min_completion_tokens=settings.chat_min_completion_tokens,
    )


def relay_options(settings: ProductSettings) -> RelayOptions:
    """How runs of other processes are followed."""
    return RelayOptions(
        heartbeat_seconds=settings.relay_heartbeat_seconds,
        ask_timeout_seconds=settings.relay_ask_timeout_seconds,
        unheard_chars=settings.relay_unheard_chars,
    )


def gateway_options(settings: ProductSettings) -> GatewayOptions:
    """How the gateway is called."""
    return GatewayOptions(
        url=settings.gateway_url,
        shared_secret=settings.gateway_shared_secret.reveal().encode(),
        connect_timeout_seconds=settings.gateway_connect_timeout_seconds,
        silence_timeout_seconds=settings.gateway_silence_timeout_seconds,
        total_timeout_seconds=settings.gateway_total_timeout_seconds,
        in_flight_wait_seconds=settings.gateway_in_flight_wait_seconds,
        max_connections=settings.gateway_max_connections,
    )


def _given(value: Any) -> Provide:
    """A dependency that is the same for every request."""

    async def provide() -> Any:
        return value

    return Provide(provide, use_cache=True)


def _openapi(cookie_name: str, *, with_page: bool) -> OpenAPIConfig:
    """The description, at /openapi.

    Its page runs a stranger's script beside the session cookie, so that there is none in production.
    """
    return OpenAPIConfig(
        title="b2b-chat product API",
        version=version("b2b-chat"),
        path="/openapi",
        openapi_router=Router("/openapi", route_handlers=[], include_in_schema=False, response_headers=_PAGE_POLICY),
        render_plugins=[ScalarRenderPlugin(), JsonRenderPlugin()] if with_page else [JsonRenderPlugin()],
        components=Components(
            security_schemes={
                "ApiKey": SecurityScheme(type="http", scheme="bearer", description="An API key: `b2b_…`"),
                "SessionCookie": SecurityScheme(
                    type="apiKey",
                    security_scheme_in="cookie",
                    name=cookie_name,
                    description="Set by `POST /auth/verify`",
                ),
            }
        ),
        security=[{"ApiKey": []}, {"SessionCookie": []}],
        use_handler_docstrings=True,
    )
