from uuid import UUID

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, ChatResult
from b2b_chat.gateway.idempotency import MemoryRecords, fingerprint_of, key_of

KEY = UUID(int=1).bytes + UUID(int=2).bytes
OTHER_KEY = UUID(int=1).bytes + UUID(int=3).bytes
RESULT = ChatResult("x" * 1000, None)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def records(clock: Clock) -> MemoryRecords:
    return MemoryRecords(ttl_seconds=60, capacity_bytes=1_000_000, clock=clock)


def request(*texts: str, message: int = 2, max_completion_tokens: int = 10, stream: bool = False) -> ChatRequest:
    return ChatRequest(
        model=MODEL_GPT_5_2,
        messages=[ChatMessage("user", text) for text in texts],
        stream=stream,
        max_completion_tokens=max_completion_tokens,
        metadata=ChatMetadata(UUID(int=1), UUID(int=7), UUID(int=8), UUID(int=message)),
    )


async def test_an_answer_expires() -> None:
    clock = Clock()
    kept = records(clock)
    await kept.begin(KEY, b"a")
    await kept.finish(KEY, RESULT)
    clock.seconds += 59
    assert await kept.begin(KEY, b"a") == RESULT
    clock.seconds += 1
    assert await kept.begin(KEY, b"b") is None


def test_what_was_asked_is_model_and_messages() -> None:
    asked = fingerprint_of(request("a", "b"))
    assert asked == fingerprint_of(request("a", "b", message=3, max_completion_tokens=99, stream=True))
    assert asked != fingerprint_of(request("ab"))
    assert asked != fingerprint_of(request("b", "a"))
    assert key_of(request("a", message=3)) == OTHER_KEY
