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
def ping(clock: NamedDependency[SkipValidation[Clock]]) -> Ping:
    """Return version, model, time and contract: one signed call shows a wrong secret or a skewed clock."""
    now = int(clock().timestamp())
    return Ping(version=_VERSION, model=MODEL_GPT_5_2, server_time=now, contract=CONTRACT_VERSION)
