"""Clocks, secrets and strangers at the border between product and gateway."""

import asyncio
import random
import shutil
import subprocess
import sys
import time
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest
from b2b_chat.contract.signing import sign
from support.faults.processes import Part
from support.faults.stack import CLOCK_SKEW_SECONDS, SHARED_SECRET, FaultStack
from support.faults.witness import Witness

NEW_SECRET = "d7c0a8f29f3d4f0f8cbb0f7d2f6e51aa"

PATIENT = {"SHUTDOWN_GRACE_SECONDS": "20"}
"""A process that ends lets everything finish, even on a busy machine."""

SHIFTED_CLOCK_IN_C = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static time_t shift(void) { const char *s = getenv("SHIFTED_CLOCK_SECONDS"); return s ? atoll(s) : 0; }
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    if (!result && id == CLOCK_REALTIME) t->tv_sec += shift();
    return result;
}
time_t time(time_t *out) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
"""


def _body() -> bytes:
    metadata = ChatMetadata(uuid4(), uuid4(), uuid4(), uuid4())
    return msgspec.json.encode(
        ChatRequest(
            MODEL_GPT_5_2, [ChatMessage("user", "Hello")], stream=False, max_completion_tokens=16, metadata=metadata
        )
    )


async def _call(stack: FaultStack, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    """What the gateway replies to an unsigned caller."""
    all_headers = {"Content-Type": "application/json", "X-Request-ID": f"stranger-{uuid4().hex}", **headers}
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.post(f"{stack.gateway_url}/v1/chat", content=body, headers=all_headers)
    return response.status_code, response.json()


def _signed(body: bytes, *, shift_seconds: int = 0, secret: str = SHARED_SECRET) -> dict[str, str]:
    return sign(secret.encode(), "POST", "/v1/chat", body, unix_seconds=int(time.time()) + shift_seconds)


@pytest.mark.parametrize("shift_seconds", [CLOCK_SKEW_SECONDS + 2, -CLOCK_SKEW_SECONDS - 1])
async def test_a_call_from_a_clock_that_is_off_is_refused(
    witness: Witness, stack: FaultStack, shift_seconds: int
) -> None:
    body = _body()
    status, told = await _call(stack, body, _signed(body, shift_seconds=shift_seconds))
    assert (status, told["error"]["code"]) == (401, "stale_timestamp")
    assert await stack.calls_seen_by_upstream() == []
    assert (await witness.send(await witness.world.person())).is_answered


async def test_unsigned_callers_reach_no_upstream(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    body = _body()
    good = _signed(body)
    attempts = {
        "unsigned": (body, {}),
        "another secret": (body, _signed(body, secret="x" * 32)),
        "another body": (_body(), good),
        "half": (body, {name: value for name, value in good.items() if name != "X-Nonce"}),
        "flipped": (body, good | {"X-Signature": good["X-Signature"][:-1] + rng.choice("ghijk")}),
    }
    told = {name: (await _call(stack, *attempt))[0] for name, attempt in attempts.items()}
    assert told == dict.fromkeys(attempts, 401)
    assert await stack.calls_seen_by_upstream() == []
    assert (await witness.send(await witness.world.person())).is_answered


@pytest.fixture
def shifting(stack: FaultStack) -> dict[str, str]:
    """The environment of a process that is to think that it is later."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    source, library = stack.folder / "clock.c", stack.folder / "clock.so"
    source.write_text(SHIFTED_CLOCK_IN_C)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


@pytest.mark.parametrize("whose", ["product", "gateway"])
async def test_a_process_whose_clock_is_off_serves_again_when_it_is_right(
    witness: Witness, stack: FaultStack, shifting: dict[str, str], rng: random.Random, whose: str
) -> None:
    part: Part = getattr(stack, whose)
    sign_of_shift = rng.choice(["", "-"]) if whose == "gateway" else ""
    # A second more: the time of a signature is in whole seconds.
    seconds = f"{sign_of_shift}{CLOCK_SKEW_SECONDS + 2}"
    part.kill()
    await part.start(**shifting | {"SHIFTED_CLOCK_SECONDS": seconds})
    person = await witness.world.person()
    replies = [await witness.send(person) for _ in range(4)]
    assert {reply.code for reply in replies} == {"gateway_refused"}
    assert await stack.calls_seen_by_upstream() == []
    part.kill()
    await part.start()
    await witness.answer_all()


async def test_a_secret_is_rotated_under_load_and_no_call_fails(
    witness: Witness, stack: FaultStack, rng: random.Random, *, is_long: bool
) -> None:
    """Gateway with both secrets, product with the new one, gateway without the old one, each beside its predecessor."""
    for part in (stack.gateway, stack.product):
        await part.terminate()
        await part.start(**PATIENT)
    stack.accepted_secrets.append(NEW_SECRET.encode())
    people = [await witness.world.person() for _ in range(4)]
    rotated = asyncio.Event()

    async def load() -> list[str]:
        failed = []
        while not rotated.is_set():
            text = "Hello [[simulate: tokens=10; tps=50]]"
            # A connection each: none is left to a product that ends.
            reply = await witness.send(rng.choice(people), text, headers={"Connection": "close"})
            if not reply.is_answered:
                failed.append(f"{reply.status} {reply.code} {reply.events}")
        return failed

    loads = [asyncio.create_task(load()) for _ in range(8 if is_long else 4)]
    new = {"GATEWAY_SHARED_SECRET": NEW_SECRET, **PATIENT}
    try:
        gateway = await stack.replaced(
            stack.gateway, stack.gateway_line, **new, GATEWAY_SHARED_SECRET_PREVIOUS=SHARED_SECRET
        )
        product = await stack.replaced(stack.product, stack.client_line, **new)
        gateway_again = await stack.replaced(gateway, stack.gateway_line, **new, GATEWAY_SHARED_SECRET_PREVIOUS="")
        await asyncio.sleep(0.5)
    finally:
        rotated.set()
        failed = [failure for failures in await asyncio.gather(*loads) for failure in failures]
        await stack.restored()
    assert not gateway.is_running
    assert len(witness.sent) > 20
    assert failed == []
    assert product is not gateway_again
    stack.accepted_secrets.pop()
