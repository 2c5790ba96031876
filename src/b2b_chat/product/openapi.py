"""The OpenAPI description of product_api: its parts beyond those that Litestar reads from the handlers."""

from importlib.metadata import version
from typing import Any, Final, get_args

from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme

from b2b_chat.kit.api_document.finish import FinishedConfig, finish
from b2b_chat.kit.openapi import ExactStructs
from b2b_chat.product.api_words import words
from b2b_chat.product.errors import ANYWHERE, IN_BODIES, Documented, documents
from b2b_chat.product.guards import operator_only, refusals_of
from b2b_chat.product.refusals import Code

_DESCRIPTION: Final = """\
Send messages to an assistant and get its answers, whole or as they are written, each charged exactly once.

* **Authorisation**: `Authorization: Bearer b2b_…`, an API key that an admin makes in the web client.
* **Exactly once**: give each message a `client_message_id` of its own, and send it again with the same one as often as
  you like: the answer is made and charged once.
* **Failures** have one form, `{"detail": {"code", "message", "retryable", "request_id", "param"}}`. Decide by `code`,
  or by the status and `retryable` where you do not know the code. Wait for `Retry-After` where it is given.
* **Amounts** are decimal strings of credits: read them as decimals, never as floats. **Times** are RFC 3339 in UTC.
* **Lists** come in pages: pass `next_cursor` as `cursor` until it is null.
* **Changes** within `v1` only add: operations, optional fields, codes, events. Ignore what you do not know. What goes
  is marked as deprecated first, and answers with the headers `Deprecation` and `Sunset` for six months.
"""


def openapi_config(cookie_name: str, public_url: str, structs: ExactStructs, *, is_production: bool) -> FinishedConfig:
    """Return the description's own part, at /openapi: all operations, those of operators too.

    In production operators alone see it: it is a map for intruders. What customers call is at /docs for everyone.
    """
    return FinishedConfig(
        title="b2b-chat product API",
        version=version("b2b-chat"),
        description=_DESCRIPTION,
        contact=Contact(name="The operators of this installation", url=public_url),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        finisher=lambda document: _finished(document, structs, public_url),
        path="/openapi",
        openapi_router=Router(
            "/openapi",
            route_handlers=[],
            include_in_schema=False,
            guards=[operator_only] if is_production else [],
        ),
        render_plugins=[JsonRenderPlugin()],
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


def _finished(document: dict[str, Any], structs: ExactStructs, public_url: str) -> dict[str, Any]:
    """Finish the document, and say of each code of an error that it is one of those."""
    document["components"]["schemas"]["ErrorDetail"]["properties"]["code"] |= {"enum": sorted(get_args(Code))}
    return finish(document, structs, words(), public_url)
