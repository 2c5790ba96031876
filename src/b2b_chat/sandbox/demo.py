"""The demo: one chat through product, gateway and model, shown as it arrives, and the same once more for free."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import httpx

from b2b_chat.contract.sse import Decoder
from b2b_chat.sandbox.errors import SandboxError

DEFAULT_TEXT: Final = "Explain in three sentences what this chat service does for a company."
TOKENS_PER_SECOND: Final = "100"
"""The simulated model's pace in the demo: slow enough to see the answer arrive."""

_TIMEOUT_SECONDS: Final = 120
_MAX_EVENT_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Outcome:
    """The result of one streamed chat: the data of its `start` and `final` events."""

    start: dict[str, Any]
    final: dict[str, Any]

    @property
    def ids(self) -> tuple[str, str]:
        """The two messages' ids."""
        return self.start["user_message_id"], self.start["assistant_message_id"]


def run_demo(product_url: str, api_key: str, text: str, write: Callable[[str], None]) -> None:
    """Send a chat, repeat it with the same `client_message_id`, and show the results of both.

    `write` shows a piece of text at once, as it is.

    Raises:
        SandboxError: The chat failed, or the retry gave other ids or was charged.
    """
    message = {"client_message_id": str(uuid4()), "text": text, "stream": True}
    headers = {"Authorization": f"Bearer {api_key}"}
    with httpx.Client(base_url=product_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        write(f"You:       {text}\nAssistant: ")
        first = _chat(client, message, on_delta=write)
        write("\n\n" + _summary(first.final))
        again = _chat(client, message, on_delta=lambda _: None)
    paid = _balance(first) - _balance(again)
    if again.ids != first.ids or paid != 0:
        raise SandboxError(f"The retry is not the same message: {again.ids} after {first.ids}, {paid} credits charged.")
    user_message_id, assistant_message_id = again.ids
    write(
        f"Retry:     same client_message_id, same ids: user {user_message_id}, assistant {assistant_message_id}; "
        f"charged {paid.normalize():f} credits\n"
    )


def _summary(final: dict[str, Any]) -> str:
    usage = final["usage"]
    return (
        f"Usage:     {usage['prompt_tokens']} prompt + {usage['completion_tokens']} completion "
        f"= {usage['total_tokens']} tokens\n"
        f"Charge:    {final['charge_credits']} credits\n"
        f"Balance:   {final['balance_credits']} credits\n"
    )


def _reason(error: dict[str, Any]) -> str:
    """Return product_api's words for a failure."""
    detail = error["detail"]
    return f"{detail['message']} ({detail['code']})"


def _balance(outcome: Outcome) -> Decimal:
    return Decimal(str(outcome.final["balance_credits"]))


def _chat(client: httpx.Client, message: dict[str, Any], *, on_delta: Callable[[str], None]) -> Outcome:
    """Send one chat and follow its stream to the end."""
    start: dict[str, Any] = {}
    try:
        for name, data in _events(client, message):
            if name == "start":
                start = data
            elif name == "delta":
                on_delta(data["text"])
            elif name == "error":
                raise SandboxError(f"The chat failed. {_reason(data)}")
            elif name == "final":
                return Outcome(start, data)
    except httpx.HTTPError as error:
        raise SandboxError(f"product_api broke off the chat: {type(error).__name__} {error}") from error
    raise SandboxError("product_api ended the stream without a final event.")


def _events(client: httpx.Client, message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
    with client.stream("POST", "/v1/chat", json=message) as answer:
        if answer.status_code != httpx.codes.OK:
            raise SandboxError(f"The chat failed. {_reason(json.loads(answer.read()))}")
        for chunk in answer.iter_bytes():
            for event in decoder.feed(chunk):
                yield event.name, json.loads(event.data, parse_float=Decimal)
