"""The ids of the request that the running task serves, for everything that logs, records or passes them on.

They stand alone so that logging, which commands configure before anything else, imports no web framework.
"""

from contextvars import ContextVar

current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)
"""The id of the request that the running task serves; tasks started by a request inherit it."""

client_request_id: ContextVar[str | None] = ContextVar("client_request_id", default=None)
"""The id that its client chose for it, where the app has one of its own too. It stays in this app's own records."""


def request_id_for_client() -> str | None:
    """Return the id by which the client knows the request: its own, where it chose one."""
    return client_request_id.get() or current_request_id.get()
