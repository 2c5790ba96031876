"""`GET /health`: open to all, and says nothing but that the process serves."""

from typing import Literal

from litestar import get
from msgspec import Struct


class Health(Struct, frozen=True):
    """The process is up."""

    status: Literal["ok"]


_OK = Health("ok")


@get("/health", operation_id="getHealth", tags=["health"], security=[{}], sync_to_thread=False)
def health() -> Health:
    """Tell that the process serves requests."""
    return _OK
