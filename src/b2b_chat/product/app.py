"""product_api as a Litestar app: its routes, and how it answers where none of them does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from b2b_chat.kit import metrics, tracing
from b2b_chat.kit.cross_origin import CrossOrigin
from b2b_chat.kit.draining import drained_on_sigterm
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.fair_gate import FairGate
from b2b_chat.kit.garbage import spare_collector
from b2b_chat.kit.health import NotReady, health, health_head, ready_route
from b2b_chat.kit.known_hosts import KnownHosts
from b2b_chat.kit.logging import configure_logging
from b2b_chat.kit.openapi import ExactStructs
from b2b_chat.kit.options import AllMethods
from b2b_chat.kit.reading import Reading
from b2b_chat.kit.request_body import UnreadBodies
from b2b_chat.kit.request_id import RequestId
from b2b_chat.kit.security_headers import SecurityHeaders
from b2b_chat.kit.strict_query import StrictQueries
from b2b_chat.product.audit.refusals import refusal_recorder
from b2b_chat.product.audit.routes import CompanyAuditRoutes, OperatorAuditRoutes
from b2b_chat.product.chat.entrance import Entrance
from b2b_chat.product.chat.preview_routes import PreviewRoutes
from b2b_chat.product.chat.routes import ChatRoutes
from b2b_chat.product.companies.key_routes import ApiKeyRoutes
from b2b_chat.product.companies.routes import (
    AcceptanceRoutes,
    CompanyRoutes,
    InviteRoutes,
    MemberRoutes,
)
from b2b_chat.product.completions.routes import CompletionRoutes, ModelRoutes
from b2b_chat.product.configuration import load_settings
from b2b_chat.product.conversations.mask_count_routes import MaskCountRoutes
from b2b_chat.product.conversations.routes import ConversationRoutes
from b2b_chat.product.credits.routes import CompanyUsageRoutes, CreditRoutes, MyUsageRoutes
from b2b_chat.product.errors import documents, refuse
from b2b_chat.product.guards import provide_viewer
from b2b_chat.product.identity.routes import LoginRoutes, MeRoutes
from b2b_chat.product.masking_policies.routes import MaskingPolicyRoutes
from b2b_chat.product.openapi import describe_refusals, openapi_config
from b2b_chat.product.operators.key_routes import OperatorKeyRoutes
from b2b_chat.product.operators.routes import OperatorCompanyRoutes, OperatorHealthRoutes, OperatorUserRoutes
from b2b_chat.product.request_bodies import JsonRequest
from b2b_chat.product.responses.routes import ResponseRoutes
from b2b_chat.product.second_factor.routes import SecondFactorRoutes
from b2b_chat.product.services import Services, opened, services_of
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.web.company_pages import CompanyPages
from b2b_chat.product.web.link_pages import LINK_PAGES
from b2b_chat.product.web.operator_pages import OperatorPages, health_part
from b2b_chat.product.web.reference_pages import ReferencePages
from b2b_chat.product.web.routes import WebRoutes

ROUTES: Final[tuple[Any, ...]] = (
    health,
    health_head,
    *ready_route(documents(NotReady)),
    LoginRoutes,
    SecondFactorRoutes,
    MeRoutes,
    ChatRoutes,
    ModelRoutes,
    CompletionRoutes,
    ResponseRoutes,
    ConversationRoutes,
    CreditRoutes,
    CompanyUsageRoutes,
    MaskCountRoutes,
    MyUsageRoutes,
    CompanyRoutes,
    MemberRoutes,
    InviteRoutes,
    AcceptanceRoutes,
    ApiKeyRoutes,
    CompanyAuditRoutes,
    MaskingPolicyRoutes,
    PreviewRoutes,
    OperatorCompanyRoutes,
    OperatorUserRoutes,
    OperatorKeyRoutes,
    OperatorAuditRoutes,
    OperatorHealthRoutes,
    WebRoutes,
    ReferencePages,
    *LINK_PAGES,
    CompanyPages,
    OperatorPages,
    health_part,
)


def create_app(settings: ProductSettings | None = None) -> ASGIApp:
    """The ASGI app that Granian serves; settings come from the environment unless given."""
    settings = settings or load_settings()
    configure_logging("product_api", level="DEBUG" if settings.debug else settings.log_level)
    app: ASGIApp = Reading(UnreadBodies(create_litestar(settings)))
    app = CrossOrigin(app, origins=settings.cors_allowed_origins.replace(",", " ").split())
    if settings.app_env == "dev":  # elsewhere nginx stands before it
        app = KnownHosts(app, known={urlsplit(settings.public_url).hostname or ""})
    return RequestId(SecurityHeaders(app), keeps_clients_ids=True)


def create_litestar(settings: ProductSettings) -> Litestar:
    """The Litestar app inside, which also knows the OpenAPI description."""
    services, structs = services_of(settings), ExactStructs()

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with (
            metrics.exported(settings.metrics_host, settings.product_metrics_port, workers=settings.workers),
            tracing.exported("product_api", settings.otel_exporter_otlp_endpoint),
            opened(services),
            drained_on_sigterm(lambda: services.chat.drain(settings.shutdown_grace_seconds)),
        ):
            spare_collector()
            yield

    app = Litestar(
        route_handlers=_bounded(settings),
        lifespan=[lifespan],
        state=State({"gatekeeper": services.gatekeeper, "tallies": services.tallies}),
        dependencies=_dependencies(services),
        after_exception=[refusal_recorder(services.tallies)],
        exception_handlers={Refusal: refuse, HTTPException: refuse, Exception: refuse},
        middleware=[StrictQueries],
        request_class=JsonRequest,
        request_max_body_size=settings.max_small_body_bytes,
        plugins=[AllMethods(), structs],
        openapi_config=openapi_config(
            services.session_cookie.name, settings.public_url, structs, is_production=settings.app_env == "prod"
        ),
        logging_config=None,
        debug=False,
    )
    describe_refusals(app)
    return app


def _bounded(settings: ProductSettings) -> list[Any]:
    """The routes, each with the largest body that it reads; all that are not named here have the app's small one."""
    sizes_bytes = {
        **dict.fromkeys(
            (ChatRoutes, CompletionRoutes, ResponseRoutes, PreviewRoutes, MaskingPolicyRoutes), settings.max_body_bytes
        ),
        LoginRoutes: settings.max_login_body_bytes,
    }
    return [
        Router("/", route_handlers=[route], request_max_body_size=sizes_bytes[route]) if route in sizes_bytes else route
        for route in ROUTES
    ]


def _dependencies(services: Services) -> dict[str, Provide]:
    """What handlers may ask for by name: the caller, and each of the services."""
    given = {name: _given(getattr(services, name)) for name in services.__struct_fields__}
    gate = FairGate.of(services.settings.chat_admissions_at_once)
    entrance = Entrance(services.chat, services.limits, services.client_ip, services.settings, gate)
    return {**given, "viewer": Provide(provide_viewer), "entrance": _given(entrance)}


def _given(value: Any) -> Provide:
    """A dependency that is the same for every request."""

    async def provide() -> Any:
        return value

    return Provide(provide, use_cache=True)
