from uuid import UUID

import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, ChatResult
from b2b_chat.gateway.idempotency import MemoryRecords, MessageInFlight, OtherContent, fingerprint_of, key_of

KEY = (UUID(int=1), UUID(int=2))
OTHER_KEY = (UUID(int=1), UUID(int=3))
RESULT = ChatResult("x" * 1000, None)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def records(clock: Clock | None = None, *, ttl_seconds: float = 60, capacity_bytes: int = 1_000_000) -> MemoryRecords:
    return MemoryRecords(ttl_seconds=ttl_seconds, capacity_bytes=capacity_bytes, clock=clock or Clock())


def request(*texts: str, message: int = 2, max_completion_tokens: int = 10, stream: bool = False) -> ChatRequest:
    return ChatRequest(
        model=MODEL_GPT_5_2,
        messages=[ChatMessage("user", text) for text in texts],
        stream=stream,
        max_completion_tokens=max_completion_tokens,
        metadata=ChatMetadata(UUID(int=1), UUID(int=7), UUID(int=8), UUID(int=message)),
    )


def test_an_answer_is_given_again() -> None:
    kept = records()
    assert kept.begin(KEY, b"a") is None
    kept.finish(KEY, RESULT)
    assert kept.begin(KEY, b"a") == RESULT
    assert kept.begin(OTHER_KEY, b"a") is None


def test_a_message_is_answered_by_one_at_a_time() -> None:
    kept = records()
    kept.begin(KEY, b"a")
    with pytest.raises(MessageInFlight):
        kept.begin(KEY, b"a")
    kept.forget(KEY)
    assert kept.begin(KEY, b"a") is None


def test_an_id_stands_for_one_content_while_it_runs_and_after() -> None:
    kept = records()
    kept.begin(KEY, b"a")
    with pytest.raises(OtherContent):
        kept.begin(KEY, b"b")
    kept.finish(KEY, RESULT)
    with pytest.raises(OtherContent):
        kept.begin(KEY, b"b")


def test_a_failure_is_not_remembered() -> None:
    kept = records()
    kept.begin(KEY, b"a")
    kept.forget(KEY)
    assert kept.begin(KEY, b"b") is None


def test_forgetting_after_the_end_forgets_nothing() -> None:
    kept = records()
    kept.begin(KEY, b"a")
    kept.finish(KEY, RESULT)
    kept.forget(KEY)
    assert kept.begin(KEY, b"a") == RESULT


def test_an_answer_expires() -> None:
    clock = Clock()
    kept = records(clock)
    kept.begin(KEY, b"a")
    kept.finish(KEY, RESULT)
    clock.seconds += 59
    assert kept.begin(KEY, b"a") == RESULT
    clock.seconds += 1
    assert kept.begin(KEY, b"b") is None


def test_the_oldest_answer_makes_room() -> None:
    kept = records(capacity_bytes=3 * 2024)
    keys = [(UUID(int=1), UUID(int=number)) for number in range(10, 14)]
    for key in keys:
        kept.begin(key, b"a")
        kept.finish(key, RESULT)
    assert [kept.begin(key, b"a") for key in keys] == [None, RESULT, RESULT, RESULT]


def test_nothing_is_kept_without_room() -> None:
    kept = records(capacity_bytes=0)
    kept.begin(KEY, b"a")
    kept.finish(KEY, RESULT)
    assert kept.begin(KEY, b"a") is None


def test_what_was_asked_is_model_and_messages() -> None:
    asked = fingerprint_of(request("a", "b"))
    assert asked == fingerprint_of(request("a", "b", message=3, max_completion_tokens=99, stream=True))
    assert asked != fingerprint_of(request("ab"))
    assert asked != fingerprint_of(request("b", "a"))
    assert key_of(request("a", message=3)) == OTHER_KEY
