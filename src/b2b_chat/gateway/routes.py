"""The operations of gateway_api that Litestar serves. `chat_endpoint` serves chats."""

from importlib.metadata import version
from typing import Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from b2b_chat.contract.schemas import CONTRACT_VERSION, MODEL_GPT_5_2, PING_PATH, Ping
from b2b_chat.gateway.openapi import DOOR_CODES, documents
from b2b_chat.kit.clock import Clock

_VERSION: Final = version("b2b-chat")


@get(PING_PATH, operation_id="ping", tags=["internal"], responses=documents(DOOR_CODES), sync_to_thread=False)
def ping(clock: NamedDependency[SkipValidation[Clock]], max_body_bytes: NamedDependency[SkipValidation[int]]) -> Ping:
    """Return version, model, time, contract and limit: one signed call shows a wrong secret or a skewed clock."""
    return Ping(
        version=_VERSION,
        model=MODEL_GPT_5_2,
        server_time=int(clock().timestamp()),
        contract=CONTRACT_VERSION,
        max_body_bytes=max_body_bytes,
    )
