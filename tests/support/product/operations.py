"""The operations of product_api, listed from the app itself, so that a test over all of them misses none."""

from typing import Any, Final, NamedTuple

from litestar.handlers import HTTPRouteHandler

from b2b_chat.kit.settings import load
from b2b_chat.product.app import create_litestar
from b2b_chat.product.settings import ProductSettings
from support.product.app import environ

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    """With its parameters as `{name}`."""
    name: str
    """The operation id, else the handler's own name."""
    opt: dict[str, Any]
    guards: frozenset[str]

    @property
    def is_unsafe(self) -> bool:
        """Whether it may change something."""
        return self.method not in _SAFE

    @property
    def is_admins(self) -> bool:
        """Whether it takes an admin's or an operator's right."""
        return self.path.startswith("/admin") or self.opt.get("scope") == "admin"


def list_operations() -> list[Operation]:
    """All operations of the app, those for OpenAPI's own pages aside."""
    settings = load(ProductSettings, environ("postgresql://127.0.0.1:1/none", "http://127.0.0.1:1"))
    found = [
        Operation(
            method, route.path_format, str(handler.operation_id or handler.handler_name), dict(handler.opt), guards
        )
        for route in create_litestar(settings).routes
        for handler in getattr(route, "route_handlers", [])
        if isinstance(handler, HTTPRouteHandler)
        for guards in [frozenset(getattr(guard, "__name__", "") for guard in handler.resolve_guards())]
        for method in handler.http_methods - {"OPTIONS"}
        if not route.path.startswith("/openapi")
    ]
    return sorted(found)
