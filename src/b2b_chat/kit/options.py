"""`OPTIONS` with all methods of a path."""

from litestar import Response
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import Scope


class AllMethods(ReceiveRoutePlugin):
    """Lets `OPTIONS` list the methods of all handlers of a path.

    Litestar makes the answer when it registers the first handlers, and keeps it when another controller adds more.
    """

    def receive_route(self, route: BaseRoute) -> None:
        """Replace Litestar's answer, which may be that of an earlier state of the route."""
        if isinstance(route, HTTPRoute):
            methods = route.methods | {"HEAD"} if "GET" in route.methods else route.methods  # kit.reading answers it
            allowed = ", ".join(sorted(methods))
            handler = route.route_handler_map["OPTIONS"][0]

            def options(scope: Scope) -> Response[None]:  # noqa: ARG001 - the signature that Litestar has inspected
                return Response(None, status_code=204, headers={"Allow": allowed})

            handler(options)  # the decorator's own way to give a handler its function
