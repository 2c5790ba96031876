"""The composition root of product_api: what depends on what, and in which order it starts and stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp

from b2b_chat.kit.background import running
from b2b_chat.kit.database import Database
from b2b_chat.kit.draining import drained_on_sigterm
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.health import health
from b2b_chat.kit.logging import configure_logging
from b2b_chat.kit.openapi import ExactStructs
from b2b_chat.kit.request_id import RequestId
from b2b_chat.product.administration import ADMINISTRATION_ROUTES, Administration
from b2b_chat.product.audit.refusals import refusal_recorder
from b2b_chat.product.bodies import JsonRequest
from b2b_chat.product.chat.conversations import Conversations
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.routes import ChatRoutes, ConversationRoutes, StreamOptions
from b2b_chat.product.chat.runs import RunOptions, Runs
from b2b_chat.product.chat.service import Chat, ChatLimits
from b2b_chat.product.chat.sweeper import keep_leases
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.credits.routes import CreditRoutes
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.errors import refuse
from b2b_chat.product.gateway_client import GatewayClient, GatewayOptions
from b2b_chat.product.guards import provide_viewer
from b2b_chat.product.identity.routes import LoginRoutes, MeRoutes
from b2b_chat.product.people import People
from b2b_chat.product.settings import ProductSettings, load_settings
from b2b_chat.product.transactions import transaction_factory
from b2b_chat.product.web.routes import WebRoutes


def create_app(settings: ProductSettings | None = None) -> ASGIApp:
    """The ASGI app that Granian serves; settings come from the environment unless given."""
    settings = settings or load_settings()
    configure_logging("product_api", level="DEBUG" if settings.debug else settings.log_level)
    return RequestId(create_litestar(settings))


def create_litestar(settings: ProductSettings) -> Litestar:
    """The Litestar app inside, which also knows the OpenAPI description."""
    database = open_database(settings)
    gateway = GatewayClient(gateway_options(settings))
    prices = Prices(settings.price_prompt_credits_per_1k_tokens, settings.price_completion_credits_per_1k_tokens)
    repository = RunRepository(database, lease_seconds=settings.chat_lease_seconds)
    runs = Runs(
        repository, gateway, prices, RunOptions(settings.chat_lease_seconds, settings.chat_resume_window_seconds)
    )
    transaction = transaction_factory(database)
    people = People(settings, database, transaction)
    administration = Administration(settings, transaction, people.outbox, people.limits)
    limits = ChatLimits(
        context_messages=settings.chat_context_limit,
        message_chars=settings.max_message_chars,
        max_completion_tokens=settings.chat_max_completion_tokens,
        min_completion_tokens=settings.chat_min_completion_tokens,
    )
    chat = Chat(repository, runs, prices, limits)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        await database.open()
        await gateway.open()
        app.state.gatekeeper = people.gatekeeper
        keeping = asyncio.create_task(keep_leases(runs, repository, lease_seconds=settings.chat_lease_seconds))
        try:
            async with (
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

    return Litestar(
        route_handlers=[
            health,
            LoginRoutes,
            MeRoutes,
            ChatRoutes,
            ConversationRoutes,
            CreditRoutes,
            WebRoutes,
            *ADMINISTRATION_ROUTES,
        ],
        lifespan=[lifespan],
        dependencies={
            "viewer": Provide(provide_viewer),
            "logins": _given(people.logins),
            "sessions": _given(people.sessions),
            "session_cookie": _given(people.session_cookie),
            "limits": _given(people.limits),
            "client_ip": _given(people.client_ip),
            **{name: _given(service) for name, service in administration.services.items()},
            "chat": _given(chat),
            "conversations": _given(Conversations(transaction)),
            "credit": _given(Credits(transaction)),
            "stream_options": _given(StreamOptions(settings.sse_keep_alive_seconds)),
        },
        after_exception=[refusal_recorder(administration.audit)],
        exception_handlers={Refusal: refuse, HTTPException: refuse, Exception: refuse},
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes,
        plugins=[ExactStructs()],
        openapi_config=_openapi(people.session_cookie.name),
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


def _openapi(cookie_name: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="b2b-chat product API",
        version="1",
        path="/openapi",
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
