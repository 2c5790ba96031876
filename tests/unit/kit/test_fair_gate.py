"""Those that wait at the gate come in by turns of their parties."""

import asyncio

from b2b_chat.kit.fair_gate import FairGate


async def test_a_party_of_many_does_not_keep_another_waiting() -> None:
    gate, passed = FairGate(1, 1), []
    go_on = asyncio.Event()

    async def hold() -> None:
        async with gate.passing("many"):
            await go_on.wait()

    async def enter(name: str, party: str) -> None:
        async with gate.passing(party):
            passed.append(name)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(enter(f"many-{number}", "many")) for number in range(50)]
    waiting += [asyncio.create_task(enter(f"few-{number}", "few")) for number in range(2)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    go_on.set()
    await asyncio.gather(holding, *waiting, return_exceptions=True)
    assert passed[:4] == ["many-0", "few-0", "few-1", "many-2"] or passed[:4] == ["many-0", "few-0", "many-2", "few-1"]
    assert len(passed) == 51


async def test_places_come_back_whatever_happens_to_those_that_wait() -> None:
    gate = FairGate(2, 2)
    inside = 0

    async def enter(number: int) -> None:
        nonlocal inside
        async with gate.passing(number % 3):
            inside += 1
            try:
                assert inside <= 2
                await asyncio.sleep(0)
            finally:
                inside -= 1

    for seed in range(20):
        tasks = [asyncio.create_task(enter(number)) for number in range(30)]
        for _ in range(seed % 5):
            await asyncio.sleep(0)
        for task in tasks[seed % 7 :: 3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}
    async with gate.passing("a"), gate.passing("b"):
        pass


async def test_a_party_that_is_stuck_leaves_places_for_others() -> None:
    gate, go_on = FairGate(4, 3), asyncio.Event()

    async def hold() -> None:
        async with gate.passing("stuck"):
            await go_on.wait()

    stuck = [asyncio.create_task(hold()) for _ in range(10)]
    await asyncio.sleep(0)
    for _ in range(5):
        async with gate.passing("other"):
            pass
    go_on.set()
    await asyncio.gather(*stuck)
