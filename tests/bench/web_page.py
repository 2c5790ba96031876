"""What the web client costs a browser: a delta, early and late in a long answer, and a conversation of 200 turns.

    uv run python tests/bench/web_page.py [--turns 200] [--rounds 3]

Real Chromium, without a GPU, on the whole stack. A delta's cost is the main thread's time, by Chromium's own count,
over the events that came meanwhile. Scrolling is measured by the times between frames, and by tasks that kept the page
from answering for more than 50 ms; loading by what came over the wire and what the main thread did.
"""

import argparse
import asyncio
import random
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from playwright.async_api import Browser, CDPSession, Page

from support.browser.chromium import chromium, signed_in
from support.database.conversations import ANSWER, add_turns
from support.database.world import Person, World, open_world
from support.faults.stack import FaultStack, fault_stack
from support.product.app import environ
from support.product.sessions import add_session

_LONG_ANSWER_CHARACTERS: Final = 120_000
_TOKENS_PER_SECOND: Final = 2000
_WHEEL_PIXELS: Final = 600
_COUNT_EVENTS: Final = """() => {
    window.pieces = 0;
    new MutationObserver((records) => (pieces += records.length)).observe(
        document.querySelector(".live .text"), { characterData: true, subtree: true });
}"""
_FRAMES: Final = """() => {
    window.frames_ms = []; window.long_ms = [];
    new PerformanceObserver((list) => long_ms.push(...list.getEntries().map((each) => each.duration)))
        .observe({ type: "longtask" });
    let last = performance.now();
    const next = (now) => { frames_ms.push(now - last); last = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


class Costs(NamedTuple):
    """Milliseconds of the main thread for one delta."""

    all: float
    script: float
    style: float
    layout: float


async def metrics(cdp: CDPSession) -> dict[str, float]:
    """Chromium's counters of a page; times are seconds."""
    found = await cdp.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in found["metrics"]}


async def _until_shown(page: Page, characters: int) -> None:
    shown = 0
    while shown < characters:
        await asyncio.sleep(0.05)
        shown = await page.evaluate("document.querySelector('.live .text')?.textContent.length ?? 1e9")


async def cost_of_a_delta(page: Page, cdp: CDPSession, *, begin: int, end: int) -> Costs:
    """While the answer on the page grows from one length to another."""
    await _until_shown(page, begin)
    before, pieces = await metrics(cdp), await page.evaluate("pieces")
    await _until_shown(page, end)
    after = await metrics(cdp)
    count = await page.evaluate("pieces") - pieces
    names = ("TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    return Costs(*((after[name] - before[name]) * 1000 / count for name in names))


async def measure_deltas(page: Page, cdp: CDPSession) -> tuple[Costs, Costs]:
    """Early and late in an answer of many paragraphs."""
    text = (ANSWER * (1 + _LONG_ANSWER_CHARACTERS // len(ANSWER)))[:_LONG_ANSWER_CHARACTERS]
    await page.goto("/")
    await page.fill("#text", f"Hello [[simulate: tps={_TOKENS_PER_SECOND}; text={quote(text, safe='')}]]")
    await page.press("#text", "Enter")
    await page.wait_for_selector("li.live[data-id] .text")
    await page.evaluate(_COUNT_EVENTS)
    early = await cost_of_a_delta(page, cdp, begin=2_000, end=22_000)
    late = await cost_of_a_delta(page, cdp, begin=95_000, end=115_000)
    await page.wait_for_selector("li.assistant .markdown")
    return early, late


async def measure_scrolling(page: Page, cdp: CDPSession, path: str) -> dict[str, float]:
    """A long conversation, loaded, and scrolled from its end to its beginning."""
    received = {"bytes": 0.0}

    def count(event: dict[str, Any]) -> None:
        received["bytes"] += event["encodedDataLength"]

    cdp.on("Network.loadingFinished", count)
    before = await metrics(cdp)
    await page.goto(path)
    await page.wait_for_selector("#text:focus")
    loaded = await metrics(cdp)
    found = {
        "page KiB": received["bytes"] / 1024,
        "loading, main thread ms": (loaded["TaskDuration"] - before["TaskDuration"]) * 1000,
        "elements at first": loaded["Nodes"],
    }
    await page.evaluate(_FRAMES)
    await page.mouse.move(700, 400)
    still = 0
    place = None
    while still < 10:  # the beginning is where the wheel moves nothing any more, and nothing more is loaded
        await page.mouse.wheel(0, -_WHEEL_PIXELS)
        await asyncio.sleep(0.016)
        now = await page.evaluate("[scroller.scrollTop, scroller.scrollHeight].join()")
        still = still + 1 if now == place else 0
        place = now
    frames = sorted(await page.evaluate("frames_ms"))
    long_tasks = await page.evaluate("long_ms")
    turns = await page.locator("li.assistant").count()
    return found | {
        "turns on the page at the end": turns,
        "frames": len(frames),
        "frame p50 ms": frames[len(frames) // 2],
        "frame p95 ms": frames[int(len(frames) * 0.95)],
        "frame max ms": frames[-1],
        "tasks over 50 ms": len(long_tasks),
        "longest task ms": max(long_tasks, default=0.0),
    }


@asynccontextmanager
async def running() -> AsyncIterator[tuple[FaultStack, World, Browser]]:
    """The whole stack, and a browser."""
    limits = {"CHAT_MAX_COMPLETION_TOKENS": "100000", "MAX_MESSAGE_CHARS": "1000000"}
    secrets = environ("", "")  # those under which tests make sessions
    known = {name: secrets[name] for name in ("SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")}
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(fault_stack(random.Random(), **limits, **known))
        await parts.heal()
        world = await stack.enter_async_context(open_world(parts.postgres.url))
        yield parts, world, await stack.enter_async_context(chromium())


async def measure(turns: int, rounds: int) -> None:
    """Print the medians of some rounds."""
    async with running() as (parts, world, browser):
        person: Person = await world.person(balance="100000000")
        session = await add_session(world, person.user_id, person.company_id)
        path = f"/c/{await add_turns(world, person, turns)}"
        deltas, scrolls = [], []
        for _ in range(rounds):
            async with signed_in(browser, parts.url, session) as context:
                page = await context.new_page()
                await page.set_viewport_size({"width": 1440, "height": 900})
                cdp = await context.new_cdp_session(page)
                await cdp.send("Performance.enable")
                await cdp.send("Network.enable")
                scrolls.append(await measure_scrolling(page, cdp, path))
                deltas.append(await measure_deltas(page, cdp))
    for number, when in enumerate(("early, 2 to 22 thousand characters", "late, 95 to 115 thousand characters")):
        costs = [statistics.median(column) for column in zip(*(each[number] for each in deltas), strict=True)]
        print(f"a delta {when}: " + ", ".join(f"{n} {c:.3f} ms" for n, c in zip(Costs._fields, costs, strict=True)))
    print(f"a conversation of {turns} turns:")
    for name in scrolls[0]:
        print(f"  {name}: {statistics.median(each[name] for each in scrolls):.1f}")


def main() -> None:
    """Read the options and measure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    asyncio.run(measure(chosen.turns, chosen.rounds))


if __name__ == "__main__":
    main()
