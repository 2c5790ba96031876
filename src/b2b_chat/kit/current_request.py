"""The id of the request that the running task serves, for everything that logs, records or passes it on.

It stands alone so that logging, which commands configure before anything else, imports no web framework.
"""

from contextvars import ContextVar

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)
"""The id of the request that the running task serves; tasks started by a request inherit it."""
