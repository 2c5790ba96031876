"""The lines between the processes are slow, cut, frozen and torn; and clients that come and go."""

import asyncio
import random
from collections.abc import Callable

from support.faults.stack import FaultStack
from support.faults.witness import Witness
from support.network.proxy import Proxy, Toxics
from support.processes.waiting import until

Harm = Callable[[Proxy, random.Random], None]


def _slow(line: Proxy, rng: random.Random) -> None:
    line.requests.toxics = Toxics(latency_seconds=rng.uniform(0, 0.05), jitter_seconds=0.1)
    line.replies.toxics = Toxics(latency_seconds=rng.uniform(0, 0.05), jitter_seconds=0.1)


def _sliced(line: Proxy, rng: random.Random) -> None:
    line.requests.toxics = Toxics(slice_bytes=rng.randint(1, 40))
    line.replies.toxics = Toxics(slice_bytes=rng.randint(1, 40))


def _narrow(line: Proxy, rng: random.Random) -> None:
    line.replies.toxics = Toxics(bytes_per_second=rng.randint(8_000, 40_000))


def _limited(line: Proxy, rng: random.Random) -> None:
    line.replies.toxics = Toxics(limit_bytes=rng.randint(1, 4000), limit_resets=rng.random() < 0.5)


def _cut_asking(line: Proxy, rng: random.Random) -> None:
    line.requests.toxics = Toxics(limit_bytes=rng.randint(1, 1500), limit_resets=rng.random() < 0.5)


def _half_open(line: Proxy, rng: random.Random) -> None:
    rng.choice([line.requests, line.replies]).freeze()


def _down(line: Proxy, _rng: random.Random) -> None:
    line.is_down = True


def _dropped(line: Proxy, rng: random.Random) -> None:
    line.drop_all(reset=rng.random() < 0.5)


HARMS: list[Harm] = [_slow, _sliced, _narrow, _limited, _cut_asking, _half_open, _down, _dropped]
LINES = ["client_line", "gateway_line", "upstream_line", "database_line"]


async def _storm(witness: Witness, line: Proxy, harm: Harm, rng: random.Random) -> None:
    people = [await witness.world.person() for _ in range(2)]
    text = f"Hello [[simulate: tokens={rng.randint(1, 60)}; tps=100]]"
    sending = [asyncio.create_task(witness.send(rng.choice(people), text)) for _ in range(8)]
    await asyncio.sleep(rng.uniform(0, 0.3))
    harm(line, rng)
    await asyncio.sleep(rng.uniform(0.2, 1.5))
    line.heal()
    await asyncio.gather(*sending)
    await witness.answer_all()
    await witness.check()


async def test_a_storm_over_all_lines(
    witness: Witness, stack: FaultStack, rng: random.Random, *, is_long: bool
) -> None:
    """In the short form each harm once, and each line twice; in the long form all pairs."""
    lines = LINES * 2
    rng.shuffle(lines)
    pairs = [(line, harm) for line in LINES for harm in HARMS] if is_long else list(zip(lines, HARMS, strict=True))
    for line, harm in pairs:
        print(f"{line} {harm.__name__}")  # noqa: T201 - shown when the case fails
        await _storm(witness, getattr(stack, line), harm, rng)


async def test_the_gateways_reply_is_lost(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    """The answer was made and paid for at the upstream, and never got to the product."""
    people = [await witness.world.person() for _ in range(4)]
    stack.gateway_line.replies.freeze()
    sending = [asyncio.create_task(witness.send(person, stream=rng.random() < 0.5)) for person in people]
    await until(lambda: _completed(stack, 4))
    stack.gateway_line.drop_all(reset=True)
    stack.gateway_line.heal()
    replies = await asyncio.gather(*sending)
    # The product asks once more if no word had come; the gateway's second reply is what the client gets.
    assert {reply.code for reply in replies} <= {None, "gateway_unavailable", "answer_cut"}
    await witness.answer_all()


async def _completed(stack: FaultStack, number: int) -> bool:
    calls = await stack.calls_seen_by_upstream()
    return [call["outcome"] for call in calls].count("completed") == number


async def test_a_client_that_drops_five_times_misses_nothing(
    witness: Witness, stack: FaultStack, rng: random.Random
) -> None:
    person = await witness.world.person()
    text = f"Tell me [[simulate: tokens={rng.randint(250, 350)}; tps=120]]"
    first = asyncio.create_task(witness.send(person, text, stream=True))
    await until(lambda: _has_text(stack))
    stack.client_line.drop_all(reset=True)
    reply = await first
    sent = reply.sent
    assert sent is not None
    heard, place = reply.text, reply.last_event_id
    for _ in range(4):
        part = await witness.follow(sent, place, until_text=rng.randint(1, 150))
        heard, place = heard + part.text, part.last_event_id or place
    rest = await witness.follow(sent, place)
    assert rest.answer is not None
    assert heard + rest.text == rest.answer["text"]
    stored = (await witness.world.messages(person))[-1]
    assert stored["text"] == rest.answer["text"]
    whole = await witness.follow(sent)
    assert (whole.text, whole.events[0], whole.events[-1]) == (stored["text"], "start", "final")
    assert (await witness.follow(sent, whole.last_event_id)).status == 204
    assert len(await stack.calls_seen_by_upstream()) == 1


async def _has_text(stack: FaultStack) -> bool:
    calls = await stack.calls_seen_by_upstream()
    return bool(calls) and calls[0]["deltas_sent"] > 20
