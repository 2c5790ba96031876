"""Calls of tools in the mirror of an attempt that another process writes."""

from decimal import Decimal
from uuid import UUID

from msgspec import UNSET

from b2b_chat.contract.content import FunctionCall, ToolCall, joined_calls
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.relay.messages import Ended, decode, encode
from b2b_chat.product.chat.relay.mirror import Mirror
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage

NOBODY = UUID(int=0)
CALLS = [ToolCall("call_a", FunctionCall("find", "{}")), ToolCall("call_b", FunctionCall("tell", ""))]


def answer(calls: list[ToolCall] | None) -> ChatAnswer:
    """An answer of calls, or of text."""
    usage = AnswerUsage(1, 1, 2, estimated=False)
    return ChatAnswer(NOBODY, NOBODY, NOBODY, "completed", "", usage, Decimal(1), Decimal(1), tool_calls=calls or UNSET)


async def test_the_calls_come_with_the_end() -> None:
    async def read_stored() -> AnswerLog:
        raise AssertionError

    for calls in (CALLS, None):
        log = AnswerLog(company_id=NOBODY, conversation_id=NOBODY, user_message_id=NOBODY, assistant_message_id=NOBODY)
        told = decode(encode(Ended(1, 0, answer(calls))))
        assert isinstance(told, Ended)
        assert isinstance(told.outcome, ChatAnswer)
        Mirror(1, log, read_stored, now=0).finish(told.outcome)
        assert joined_calls(log.call_pieces) == (calls or [])
        assert log.outcome == answer(calls)
