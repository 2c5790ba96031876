"""The unmodified openai SDK cannot tell the simulator from OpenAI."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from b2b_chat.sandbox.openai_simulator.events import FRAMINGS
from support.openai.simulated import Wire

MODEL = "gpt-5.2"
PATIENCE_SECONDS = 30
IMPATIENCE_SECONDS = 0.3
"""For calls that are never answered."""
MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Привет! How are you? 🙂"},
]

# What OpenAI's reference documents for a plain answer, in both forms.
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": None},
    "completion_tokens_details": {
        "reasoning_tokens": None,
        "audio_tokens": None,
        "accepted_prediction_tokens": None,
        "rejected_prediction_tokens": None,
    },
}
USAGE = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None, **DETAILS}
COMMON = dict.fromkeys(("id", "object", "created", "model", "service_tier", "system_fingerprint"))
CHOICE = dict.fromkeys(("index", "logprobs", "finish_reason"))
MESSAGE: dict[str, Any] = {"role": None, "content": None, "refusal": None, "annotations": []}
COMPLETION = {**COMMON, "choices": [{**CHOICE, "message": MESSAGE}], "usage": USAGE}


def chunk_with(delta: dict[str, Any]) -> dict[str, Any]:
    return {**COMMON, "choices": [{**CHOICE, "delta": delta}], "usage": None, "obfuscation": None}


ROLE_CHUNK = chunk_with(dict.fromkeys(("role", "content", "refusal")))
CONTENT_CHUNK = chunk_with({"content": None})
FINISH_CHUNK = chunk_with({})
USAGE_CHUNK: dict[str, Any] = {**COMMON, "choices": [], "usage": USAGE, "obfuscation": None}


@pytest.fixture
async def client(wire: Wire) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{wire.url}/v1", api_key="sk-any", max_retries=0) as client:
        yield client


def outline(value: Any) -> Any:
    """The fields of an answer without its values."""
    if isinstance(value, BaseModel):
        assert not value.model_extra
        return {name: outline(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, list):
        return [outline(item) for item in value]
    return None


async def streamed(client: AsyncOpenAI, **asked: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **asked
    )
    return [chunk async for chunk in stream]


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def simulate(directives: str) -> dict[str, Any]:
    return {"extra_headers": {"X-Simulate": directives}}


async def test_a_completion_is_exactly_as_documented(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    completion = raw.parse()

    assert outline(completion) == COMPLETION
    ChatCompletion.model_validate(json.loads(raw.text), strict=True)
    assert completion.object == "chat.completion"
    assert completion.model.startswith(f"{MODEL}-")
    assert completion.choices[0].finish_reason == "stop"
    assert completion._request_id == raw.headers["x-request-id"]
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["openai-processing-ms"].isdigit()


async def test_a_stream_is_exactly_as_documented(client: AsyncOpenAI) -> None:
    chunks = await streamed(client)
    role, *contents, finish, usage = chunks

    assert outline(role) == ROLE_CHUNK
    assert all(outline(chunk) == CONTENT_CHUNK for chunk in contents)
    assert outline(finish) == FINISH_CHUNK
    assert outline(usage) == USAGE_CHUNK
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(), strict=True)
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert role.choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(contents) + 1) + ["stop"]
    assert usage.usage is not None
    assert usage.usage.completion_tokens == len(contents)


async def test_without_include_usage_no_chunk_speaks_of_usage(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_obfuscation": False}
    )
    chunks = [chunk async for chunk in stream]

    assert all(chunk.model_fields_set.isdisjoint({"usage", "obfuscation"}) for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_both_forms_give_the_same_answer(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    chunks = await streamed(client)

    assert text_of(chunks) == completion.choices[0].message.content
    assert chunks[-1].usage == completion.usage


async def test_the_synchronous_client_is_served_too(wire: Wire) -> None:
    def ask() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{wire.url}/v1", api_key="sk-any", max_retries=0) as client:
            completion = client.chat.completions.create(model=MODEL, messages=MESSAGES)
            stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
            return completion.choices[0].message.content, text_of(list(stream))

    whole, in_pieces = await asyncio.to_thread(ask)

    assert whole == in_pieces


async def test_the_sdks_own_stream_helper_assembles_the_answer(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        completion = await stream.get_final_completion()

    assert "Привет! How are you? 🙂" in (completion.choices[0].message.content or "")


async def test_the_limit_ends_the_answer_in_both_forms(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=3)
    chunks = await streamed(client, max_completion_tokens=3)

    assert completion.choices[0].finish_reason == chunks[-2].choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == len(chunks) - 3 == 3


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
async def test_the_sdk_reads_every_framing(client: AsyncOpenAI, framing: str) -> None:
    text = "Да, 🤖 ok"
    chunks = await streamed(client, **simulate(f"framing={framing}; text={quote(text)}"))

    assert text_of(chunks) == text
    assert chunks[-1].usage is not None


@pytest.mark.parametrize(
    ("directives", "error", "code"),
    [
        ("status=400", openai.BadRequestError, None),
        ("error=context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("error=content_filter", openai.BadRequestError, "content_filter"),
        ("status=401", openai.AuthenticationError, "invalid_api_key"),
        ("status=403", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("status=404", openai.NotFoundError, "model_not_found"),
        ("status=409", openai.ConflictError, None),
        ("status=413", openai.APIStatusError, None),
        ("status=422", openai.UnprocessableEntityError, None),
        ("status=429", openai.RateLimitError, "rate_limit_exceeded"),
        ("error=insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("status=500", openai.InternalServerError, None),
        ("status=502", openai.InternalServerError, None),
        ("status=503", openai.InternalServerError, None),
        ("close", openai.APIConnectionError, None),
        ("reset", openai.APIConnectionError, None),
        ("no_answer", openai.APITimeoutError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_sdk_raises_its_own_error(
    client: AsyncOpenAI, directives: str, error: type[openai.APIError], code: str | None, *, stream: bool
) -> None:
    timeout = IMPATIENCE_SECONDS if directives == "no_answer" else PATIENCE_SECONDS
    with pytest.raises(error) as raised:
        await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=stream, timeout=timeout, **simulate(directives)
        )

    assert raised.value.code == code


@pytest.mark.parametrize(
    ("directives", "error"),
    [
        ("cut_after=2", openai.APIConnectionError),
        ("reset_after=2", openai.APIConnectionError),
        ("half_chunk_after=2", openai.APIConnectionError),
        ("stall_after=2", openai.APITimeoutError),
        ("error_after=2", openai.APIError),
        ("malformed_after=2", json.JSONDecodeError),
    ],
)
async def test_what_the_sdk_raises_in_the_middle_of_a_stream(
    client: AsyncOpenAI, directives: str, error: type[Exception]
) -> None:
    timeout = IMPATIENCE_SECONDS if directives == "stall_after=2" else PATIENCE_SECONDS
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, timeout=timeout, **simulate(directives)
    )
    with pytest.raises(error):
        async for _ in stream:
            pass


async def test_without_its_end_marks_the_sdk_takes_a_stream_for_complete(client: AsyncOpenAI) -> None:
    chunks = await streamed(client, **simulate("tokens=3; no_finish; no_done; usage=none"))

    assert len(chunks) == 4
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)


async def test_the_sdk_recovers_by_its_own_retries(client: AsyncOpenAI) -> None:
    answer = await client.with_options(max_retries=2).chat.completions.create(
        model=MODEL, messages=MESSAGES, **simulate("error=rate_limit; retry_after_ms=1; key=a; fail_times=2; tokens=2")
    )

    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


async def test_characters_that_no_database_stores_pass_the_sdk(client: AsyncOpenAI) -> None:
    directives = simulate("text=a%00b%ED%A0%80c")
    completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES, **directives)

    assert completion.choices[0].message.content == text_of(await streamed(client, **directives)) == "a\0b\ud800c"
