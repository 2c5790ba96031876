"""Bodies for the gateway's `POST /v1/chat`."""

from typing import Any, Final
from uuid import uuid4

METADATA: Final = {  # beside message_id, which every message has of its own
    "company_id": "0b6e4c5e-6f0c-4c39-9d2e-0d9a3f1f5b11",
    "user_id": "5d1f0f34-96a4-4f0e-9a38-6a8c3b1f7a22",
    "conversation_id": "9a7c2f8e-0c1b-4d5e-8f60-7b2d4c9e1a33",
}


def chat_request(prompt: str = "Hi", *, stream: bool = False, **changes: Any) -> dict[str, Any]:
    """The body of a chat, as plain objects; every one is another message."""
    return {
        "model": "gpt-5.2",
        "messages": [{"role": "user", "content": prompt}],
        "stream": stream,
        "max_completion_tokens": 500,
        "metadata": {**METADATA, "message_id": str(uuid4())},
        **changes,
    }
