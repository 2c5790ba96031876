"""The OpenAPI description of product_api: its parts beyond those that Litestar reads from the handlers."""

from importlib.metadata import version
from typing import Final

from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, ScalarRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from b2b_chat.product.errors import ANYWHERE, IN_BODIES, Documented, documents
from b2b_chat.product.guards import operator_only, refusals_of

_PAGE_POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src data: https:; "
        "style-src 'unsafe-inline' https://cdn.jsdelivr.net; font-src https:; connect-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
}
"""What the page at /openapi may load. It is for developers, and production does not have it."""


def openapi_config(cookie_name: str, *, is_production: bool) -> OpenAPIConfig:
    """Return the description's own part, at /openapi.

    Production has no page, which runs a third party's script beside the session cookie, and shows the document to
    operators alone: it is a map for intruders.
    """
    return OpenAPIConfig(
        title="b2b-chat product API",
        version=version("b2b-chat"),
        path="/openapi",
        openapi_router=Router(
            "/openapi",
            route_handlers=[],
            include_in_schema=False,
            response_headers=_PAGE_POLICY,
            guards=[operator_only] if is_production else [],
        ),
        render_plugins=[JsonRenderPlugin()] if is_production else [ScalarRenderPlugin(), JsonRenderPlugin()],
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


def describe_refusals(app: Litestar) -> None:
    """Add to each operation's own refusals those of its guards and of its body, and those that any operation has."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and (handler.resolve_guards() or handler.responses):
                own = handler.responses if isinstance(handler.responses, Documented) else documents()
                in_body = IN_BODIES if "data" in handler.parsed_fn_signature.parameters else ()
                handler.responses = own.between(refusals_of(handler), (*in_body, *ANYWHERE))
