"""What the simulator puts on the wire, seen without the SDK."""

import aiohttp
import pytest

from b2b_chat.kit.settings import Secret
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS
from support.openai.reading import deltas_of, document, stream
from support.openai.simulated import CHAT_PATH, Wire, simulated_openai

# Who may call, and what is a call.


async def test_health_is_open(wire: Wire) -> None:
    async with aiohttp.ClientSession(wire.url) as anyone, anyone.get("/health") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer "}])
async def test_a_call_without_a_key_is_refused(wire: Wire, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(wire.url) as anyone, anyone.post(CHAT_PATH, headers=headers) as response:
        error = (await response.json())["error"]

    assert response.status == 401
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"].startswith("You didn't provide an API key.")


async def test_a_wrong_key_is_refused_where_one_is_expected() -> None:
    async with simulated_openai(SimulatorSettings(expected_api_key=Secret("sk-right"))) as wire:
        async with wire.post() as response:
            assert response.status == 401
            assert (await response.json())["error"]["code"] == "invalid_api_key"
        wire.http.headers["Authorization"] = "Bearer sk-right"
        await document(wire)


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", CHAT_PATH, 405, "Not allowed to GET on /v1/chat/completions."),
        ("POST", "/v1/completions", 404, "Invalid URL (POST /v1/completions)"),
        ("POST", "/elsewhere", 404, "Not found"),
        ("POST", "/simulator/requests", 404, "Not found"),
    ],
)
async def test_other_addresses(wire: Wire, method: str, path: str, status: int, told: str) -> None:
    async with wire.http.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["error"]["message"].startswith(told)


async def test_a_wrong_body_is_refused(wire: Wire) -> None:
    async with wire.post(max_completion_tokens=0) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "max_completion_tokens"


# Plain answers.


async def test_the_headers_of_a_stream_are_openais(wire: Wire) -> None:
    async with wire.post(stream=True) as response:
        await response.read()

    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["openai-processing-ms"].isdigit()
    assert response.headers["openai-version"] == "2020-10-01"


async def test_a_stream_is_one_event_a_token_and_ends_with_done(wire: Wire) -> None:
    events = await stream(wire, "tokens=5")

    assert len(events) == 1 + 5 + 1 + 1 + 1
    assert len(deltas_of(events)) == 5
    assert events[-1] == b"[DONE]"


async def test_directives_in_the_prompt_work_and_are_not_repeated(wire: Wire) -> None:
    answer = await document(wire, prompt="Hello [[simulate: cached_tokens=4]]")

    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert "“Hello”" in answer["choices"][0]["message"]["content"]


async def test_the_header_wins_over_the_prompt_and_both_over_the_settings() -> None:
    async with simulated_openai(SimulatorSettings(directives="tokens=1; reasoning_tokens=7")) as wire:
        usage = (await document(wire))["usage"]
        assert usage["completion_tokens"] == 8
        usage = (await document(wire, prompt="[[simulate: tokens=2; cached_tokens=3]]"))["usage"]
        assert (usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (9, 3)
        usage = (await document(wire, "tokens=5", prompt="[[simulate: tokens=2; cached_tokens=3]]"))["usage"]
        assert (usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (12, 3)


async def test_a_mistaken_directive_is_reported(wire: Wire) -> None:
    async with wire.post("statuss=500") as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "simulator_directive"


async def test_a_paced_stream_is_complete(wire: Wire) -> None:
    assert len(deltas_of(await stream(wire, "tokens=5; tps=500; first_token_delay_ms=1; delay_ms=1"))) == 5


async def test_a_paced_document_is_complete(wire: Wire) -> None:
    assert (await document(wire, "tokens=5; tps=500"))["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("burst", [1, 3, 1000])
async def test_bursts_change_no_byte_of_the_text(wire: Wire, burst: int) -> None:
    assert deltas_of(await stream(wire, f"burst={burst}")) == deltas_of(await stream(wire))


# Refusals.


@pytest.mark.parametrize("name", list(ERRORS))
async def test_every_error_can_be_had(wire: Wire, name: str) -> None:
    async with wire.post(f"error={name}") as response:
        assert response.status == ERRORS[name].status
        assert await response.read() == ERRORS[name].body
        assert response.content_type == ERRORS[name].content_type.decode()
        assert "Retry-After" not in response.headers


async def test_a_status_alone_is_enough_and_changes_an_error(wire: Wire) -> None:
    async with wire.post("status=503", stream=True) as response:
        assert (response.status, await response.read()) == (503, ERRORS["overloaded"].body)
    async with wire.post("status=500; error=bad_gateway") as response:
        assert (response.status, response.content_type) == (500, "text/html")


async def test_retry_after_is_sent_as_it_was_asked(wire: Wire) -> None:
    async with wire.post("status=429; retry_after=Wed, 21 Oct 2026 07:28:00 GMT; retry_after_ms=1500") as response:
        assert response.headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert response.headers["retry-after-ms"] == "1500"


async def test_a_key_fails_so_often_and_then_answers(wire: Wire) -> None:
    async def status(key: str) -> int:
        async with wire.post(f"status=500; key={key}; fail_times=2") as response:
            code: int = response.status
            return code

    assert [await status(key) for key in "aabaa"] == [500, 500, 500, 200, 200]
