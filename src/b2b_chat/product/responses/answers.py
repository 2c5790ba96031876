"""An answer as a response object."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import UNSET, structs, to_builtins

from b2b_chat.contract.content import ToolCall
from b2b_chat.contract.schemas import MODEL_GPT_5_2
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.completions.answers import charge_of, created_at
from b2b_chat.product.openai_errors import openai_error
from b2b_chat.product.responses.schemas import (
    FunctionCallItem,
    IncompleteDetails,
    InputDetails,
    ItemStatus,
    OutputDetails,
    OutputMessage,
    OutputRefusal,
    OutputText,
    ResponseCreate,
    ResponseFailure,
    ResponseObject,
    ResponseUsage,
)


def message_id(assistant_message_id: UUID) -> str:
    """Return the id of the message in an answer."""
    return f"msg_{assistant_message_id.hex}"


def call_item_id(assistant_message_id: UUID, index: int) -> str:
    """Return the id of a call in an answer; the function's result names the call's own id."""
    return f"fc_{assistant_message_id.hex}{index:02x}"


def begun(request: ResponseCreate, assistant_message_id: UUID) -> ResponseObject:
    """Return a response of which nothing is written yet."""
    text, reasoning = request.text or {}, request.reasoning or {}
    return ResponseObject(
        id=f"resp_{assistant_message_id.hex}",
        created_at=created_at(assistant_message_id),
        status="in_progress",
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        model=MODEL_GPT_5_2,
        output=[],
        parallel_tool_calls=request.parallel_tool_calls is not False,
        reasoning={"effort": reasoning.get("effort"), "summary": None},
        temperature=1.0 if request.temperature is None else request.temperature,
        text={"format": {"type": "text"}, **text},
        tool_choice=request.tool_choice or "auto",
        tools=request.tools or [],
        top_p=1.0 if request.top_p is None else request.top_p,
        metadata=request.metadata or {},
    )


def ended(response: ResponseObject, answer: ChatAnswer, output: list[dict[str, Any]]) -> ResponseObject:
    """Return a response with the answer in it: complete, or cut and so incomplete."""
    used, why = answer.usage, incomplete_details(answer)
    return structs.replace(
        response,
        status="completed" if why is None else "incomplete",
        incomplete_details=why,
        output=output,
        usage=ResponseUsage(
            used.prompt_tokens,
            InputDetails(0 if used.cached_tokens is UNSET else used.cached_tokens),
            used.completion_tokens,
            OutputDetails(0 if used.reasoning_tokens is UNSET else used.reasoning_tokens),
            used.total_tokens,
        ),
        b2b=charge_of(answer),
    )


def failed(response: ResponseObject, failure: AnswerFailed) -> ResponseObject:
    """Return a response that has no answer."""
    error = openai_error(failure).error
    return structs.replace(response, status="failed", error=ResponseFailure(error.code or error.type, error.message))


def incomplete_details(answer: ChatAnswer) -> IncompleteDetails | None:
    """Return why an answer is cut; None where it is whole."""
    match answer.finish_reason:
        case "length":
            return IncompleteDetails("max_output_tokens")
        case "content_filter":
            return IncompleteDetails("content_filter")
    return None


def response_of(request: ResponseCreate, answer: ChatAnswer) -> ResponseObject:
    """Return the whole answer."""
    id_ = answer.assistant_message_id
    status: ItemStatus = "completed" if incomplete_details(answer) is None else "incomplete"
    calls: Sequence[ToolCall] = () if answer.tool_calls is UNSET else answer.tool_calls
    output = [message_item(id_, answer.text, status, is_refusal=answer.refusal is True)] if answer.text else []
    output += [call_item(id_, index, call, status) for index, call in enumerate(calls)]
    return ended(begun(request, id_), answer, output)


def message_item(id_: UUID, text: str, status: ItemStatus, *, is_refusal: bool) -> dict[str, Any]:
    """Return the message in an answer."""
    item: dict[str, Any] = to_builtins(
        OutputMessage(message_id(id_), [content_part(text, is_refusal=is_refusal)], status)
    )
    return item


def content_part(text: str, *, is_refusal: bool) -> dict[str, Any]:
    """Return the text or refusal in a message."""
    part: dict[str, Any] = to_builtins(OutputRefusal(text) if is_refusal else OutputText(text))
    return part


def call_item(id_: UUID, index: int, call: ToolCall, status: ItemStatus) -> dict[str, Any]:
    """Return a call of a function in an answer."""
    made = FunctionCallItem(call_item_id(id_, index), call.id, call.function.name, call.function.arguments, status)
    item: dict[str, Any] = to_builtins(made)
    return item
