"""An answer in OpenAI's form."""

from uuid import UUID

from msgspec import UNSET

from b2b_chat.contract.schemas import MODEL_GPT_5_2, FinishReason
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.completions.schemas import (
    AnswerMessage,
    Charge,
    Choice,
    Completion,
    CompletionDetails,
    CompletionUsage,
    PromptDetails,
)


def completion_id(assistant_message_id: UUID) -> str:
    """Return the id that OpenAI's form gives an answer."""
    return f"chatcmpl-{assistant_message_id.hex}"


def created_at(id_: UUID) -> int:
    """Return when an id was made, Unix seconds: it is of version 7, so that a replay says the same."""
    return (id_.int >> 80) // 1000


def finish_reason_of(answer: ChatAnswer) -> FinishReason:
    """Return why an answer ended; one that was stopped on purpose has ended, too."""
    return answer.finish_reason or "stop"


def usage_of(answer: ChatAnswer) -> CompletionUsage:
    """Return what an answer took."""
    used = answer.usage
    return CompletionUsage(
        used.prompt_tokens,
        used.completion_tokens,
        used.total_tokens,
        PromptDetails(0 if used.cached_tokens is UNSET else used.cached_tokens),
        CompletionDetails(0 if used.reasoning_tokens is UNSET else used.reasoning_tokens),
    )


def charge_of(answer: ChatAnswer) -> Charge:
    """Return what an answer cost."""
    return Charge(
        charge_credits=str(answer.charge_credits),
        balance_credits=str(answer.balance_credits),
        user_message_id=answer.user_message_id,
        assistant_message_id=answer.assistant_message_id,
        conversation_id=answer.conversation_id,
        is_estimated=answer.usage.estimated,
    )


def completion_of(answer: ChatAnswer) -> Completion:
    """Return the whole answer."""
    is_refusal = answer.refusal is True
    message = AnswerMessage(
        role="assistant",
        content=None if is_refusal or (not answer.text and answer.tool_calls) else answer.text,
        refusal=answer.text if is_refusal else None,
        tool_calls=answer.tool_calls,
    )
    return Completion(
        id=completion_id(answer.assistant_message_id),
        object="chat.completion",
        created=created_at(answer.assistant_message_id),
        model=MODEL_GPT_5_2,
        choices=[Choice(0, message, None, finish_reason_of(answer))],
        usage=usage_of(answer),
        service_tier=None,
        system_fingerprint=None,
        b2b=charge_of(answer),
    )
