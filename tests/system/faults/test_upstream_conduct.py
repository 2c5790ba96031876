"""How often and how patiently OpenAI is asked again, seen at OpenAI's end, and what the client gets, case by case."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import uuid4

from support.faults.stack import FaultStack
from support.faults.witness import Reply, Witness

ATTEMPTS: Final = 3
"""UPSTREAM_MAX_ATTEMPTS by default."""
STREAMED: Final = 3
"""One, and CHAT_MAX_RESTARTS by default: a begun answer is begun anew by the product, not by the gateway."""
ANSWERED: Final = "answered"


@dataclass(frozen=True)
class Conduct:
    """One case: what OpenAI does, how often it should be asked, and what the client should get."""

    directives: str
    attempts: int
    outcome: str
    streamed_attempts: int | None = None
    """Where it differs when the answer is streamed, since the gateway begins nothing anew."""
    streamed_outcome: str | None = None
    """As above."""
    least_gap_seconds: float = 0.0

    def expected(self, *, stream: bool) -> tuple[int, str]:
        """Attempts and outcome."""
        if not stream:
            return self.attempts, self.outcome
        return self.streamed_attempts or self.attempts, self.streamed_outcome or self.outcome


CASES: Final = {
    "429 once, with Retry-After": Conduct("fail_times=1; status=429; retry_after=1", 2, ANSWERED, least_gap_seconds=1),
    "429 once, with retry-after-ms": Conduct(
        "fail_times=1; status=429; retry_after_ms=600", 2, ANSWERED, least_gap_seconds=0.6
    ),
    "429 once, without Retry-After": Conduct("fail_times=1; status=429", 2, ANSWERED),
    "429 persistent, with Retry-After": Conduct(
        "status=429; retry_after=1", ATTEMPTS, "gateway_unavailable", least_gap_seconds=1
    ),
    "429 persistent, without": Conduct("status=429", ATTEMPTS, "gateway_unavailable"),
    "429 with a Retry-After too long": Conduct("status=429; retry_after=60", 1, "gateway_unavailable"),
    "429 for quota": Conduct("error=insufficient_quota", 1, "model_unavailable"),
    "500 once": Conduct("fail_times=1; status=500", 2, ANSWERED),
    "503 twice": Conduct("fail_times=2; status=503", 3, ANSWERED),
    "503 persistent": Conduct("status=503", ATTEMPTS, "gateway_unavailable"),
    "400": Conduct("status=400", 1, "message_rejected"),
    "401": Conduct("error=invalid_api_key", 1, "model_unavailable"),
    "reset before headers, once": Conduct("fail_times=1; reset", 2, ANSWERED),
    "reset before headers, persistent": Conduct("reset", ATTEMPTS, "gateway_unavailable"),
    "closed before headers, once": Conduct("fail_times=1; close", 2, ANSWERED),
    "no answer at all": Conduct("no_answer", 1, "gateway_timeout"),
    "slow first token": Conduct("first_token_delay_ms=2000", 1, ANSWERED),
    "cut in mid-answer": Conduct("tps=60; cut_after=5", ATTEMPTS, "answer_cut", streamed_attempts=STREAMED),
    "reset in mid-answer": Conduct("tps=60; reset_after=5", ATTEMPTS, "answer_cut", streamed_attempts=STREAMED),
    "stall in mid-answer": Conduct("tps=60; stall_after=5", 1, "gateway_timeout", streamed_attempts=STREAMED),
    "malformed event": Conduct("tps=60; malformed_after=5", ATTEMPTS, "answer_cut", streamed_attempts=STREAMED),
    "error in the stream": Conduct(
        "tps=60; error_after=5; error=server_error", ATTEMPTS, "gateway_unavailable", streamed_attempts=STREAMED
    ),
    "no [DONE]": Conduct("no_done", 1, ANSWERED),
    "no usage": Conduct("usage=none", 1, ANSWERED),
    "usage of zeros": Conduct("usage=zero", 1, ANSWERED),
    "context length": Conduct("error=context_length_exceeded", 1, "context_length_exceeded"),
    "content filter at once": Conduct("error=content_filter", 1, "content_filtered"),
    "content filter in mid-answer": Conduct("content_filter_after=5", 1, ANSWERED),
    "NUL and half an emoji in the text": Conduct("text=a%00b%ED%A0%80c", 1, ANSWERED),
}


async def _gaps(stack: FaultStack, key: str) -> list[float]:
    """The seconds between the attempts of one message."""
    calls = [call for call in await stack.calls_seen_by_upstream() if call["key"] == key]
    times = [call["received_monotonic_seconds"] for call in calls]
    return [later - earlier for earlier, later in pairwise(times)]


async def _attempts(stack: FaultStack, key: str) -> int:
    return len([call for call in await stack.calls_seen_by_upstream() if call["key"] == key])


def _outcome(reply: Reply) -> str:
    return ANSWERED if reply.is_answered else reply.code or f"broken ({reply.status})"


async def test_conduct_case_by_case(witness: Witness, stack: FaultStack) -> None:
    """All at once, streamed and not; the table is printed."""
    people = [await witness.world.person() for _ in range(4)]
    wanted: dict[str, tuple[Conduct, bool]] = {}
    sending = []
    for name, case in CASES.items():
        for stream in (False, True):
            key = f"{name.replace(';', '').replace('=', '')}-{uuid4().hex}"
            wanted[key] = (case, stream)
            text = f"Hello [[simulate: key={key}; {case.directives}]]"
            person = witness.rng.choice(people)
            sending.append(asyncio.create_task(witness.send(person, text, stream=stream)))
    replies = await asyncio.gather(*sending)
    witness.sent.clear()  # most of these are never answered
    await witness.until_all_ended()  # answers that broke off are begun anew after their readers have left
    problems = []
    print(f"{'case':36} {'stream':6} {'attempts':8} {'gaps, s':16} outcome")  # noqa: T201 - the table is the point
    for (key, (case, stream)), reply in zip(wanted.items(), replies, strict=True):
        attempts, gaps, outcome = await _attempts(stack, key), await _gaps(stack, key), _outcome(reply)
        shown = ", ".join(f"{gap:.2f}" for gap in gaps)
        print(f"{key[:-33]:36} {stream!s:6} {attempts:<8} {shown:16} {outcome}")  # noqa: T201 - as above
        expected = case.expected(stream=stream)
        if (attempts, outcome) != expected or any(gap < case.least_gap_seconds for gap in gaps):
            problems.append(f"{key[:-33]}, stream={stream}: {attempts} {shown} {outcome}; expected {case}")
    assert problems == []


async def test_a_flapping_upstream(witness: Witness, stack: FaultStack) -> None:
    """It fails and heals and fails again: each message is answered, at most as many attempts as are allowed."""
    person = await witness.world.person()
    for number in range(12):
        fails = number % ATTEMPTS
        key = f"flapping-{uuid4().hex}"
        reply = await witness.send(person, f"Hello [[simulate: key={key}; fail_times={fails}; status=503]]")
        assert reply.is_answered
        assert await _attempts(stack, key) == fails + 1
