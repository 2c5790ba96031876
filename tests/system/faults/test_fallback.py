"""The first upstream fails under load; the second takes over before the first word, and hands back."""

import asyncio
import random
from typing import Final

from support.faults.stack import FaultStack
from support.faults.witness import Reply, Witness
from support.processes.waiting import until

BREAKER: Final = {
    "UPSTREAM_BREAKER_FAILURES": "3",
    "UPSTREAM_BREAKER_OPEN_SECONDS": "1",
    "UPSTREAM_MAX_ATTEMPTS": "2",
    "SHUTDOWN_GRACE_SECONDS": "30",
}


class Load:
    """Clients that send one message after another until the test stops them."""

    def __init__(self, witness: Witness, rng: random.Random, *, clients: int) -> None:
        self.replies: list[Reply] = []
        self._witness = witness
        self._rng = rng
        self._is_over = asyncio.Event()
        self._clients = [asyncio.create_task(self._send()) for _ in range(clients)]

    async def _send(self) -> None:
        person = await self._witness.world.person()
        while not self._is_over.is_set():
            text = f"Hello [[simulate: tokens={self._rng.randint(1, 12)}; tps=60]]"
            self.replies.append(await self._witness.send(person, text))

    async def more(self, number: int) -> list[Reply]:
        """Wait for so many replies from now on, and return them."""
        seen = len(self.replies)

        async def has_come() -> bool:
            return len(self.replies) >= seen + number

        await until(has_come, timeout_seconds=60)
        return self.replies[seen:]

    async def end(self) -> None:
        """Let every client finish what it has begun."""
        self._is_over.set()
        await asyncio.gather(*self._clients)


async def test_the_second_place_takes_over_and_gives_back(
    witness: Witness, stack: FaultStack, rng: random.Random, *, is_long: bool
) -> None:
    async with stack.with_fallback(**BREAKER) as second:
        load = Load(witness, rng, clients=8 if is_long else 4)
        assert all(reply.is_answered for reply in await load.more(12))
        assert await stack.calls_seen_by_upstream(second) == [], "the first place answers: nobody asks the second"

        stack.upstream_line.is_down = True
        stack.upstream_line.drop_all(reset=True)
        await load.more(12)  # what was being written when the line broke may have failed
        assert all(reply.is_answered for reply in await load.more(24)), "the second place answers for the first"
        assert len(await stack.calls_seen_by_upstream(second)) >= 24
        knocks = stack.upstream_line.connections
        answered = await load.more(24)
        # The breaker is open: one probe a second at most, with a connection for each try, instead of every message.
        assert stack.upstream_line.connections - knocks < len(answered)

        stack.upstream_line.heal()
        before = len(await stack.calls_seen_by_upstream())

        async def is_given_back() -> bool:
            return len(await stack.calls_seen_by_upstream()) >= before + 12

        await until(is_given_back, timeout_seconds=60)
        seen_by_second = len(await stack.calls_seen_by_upstream(second))
        assert all(reply.is_answered for reply in await load.more(12))
        assert len(await stack.calls_seen_by_upstream(second)) == seen_by_second, "the breaker has closed again"
        await load.end()
    await witness.answer_all()


async def test_a_silent_first_upstream_is_left_for_the_second(witness: Witness, stack: FaultStack) -> None:
    person = await witness.world.person()
    async with stack.with_fallback(**BREAKER | {"UPSTREAM_FIRST_TOKEN_TIMEOUT_SECONDS": "1"}) as second:
        stack.upstream_line.replies.freeze()
        replies = await asyncio.gather(*[witness.send(person, "Hello", stream=True) for _ in range(4)])
        assert all(reply.is_answered for reply in replies)
        assert len(await stack.calls_seen_by_upstream(second)) == 4
