"""What masking costs: plain and dense text, hostile text, a delta, and how long it holds the event loop.

    just bench-masking [--fuzz STREAMS] [--seed SEED]

CPU time of this process, the best of some rounds. `--fuzz` restores so many streams instead, cut in every way, and then
shows that the fuzz notices every mutant of the restorer.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.restoring import Restorer
from support.masking.hostile_texts import hostile
from support.masking.mutants import MUTANTS, applied
from support.masking.score import load
from support.masking.streams import HOSTS, VALUES, first_fault

CORPUS: Final = Path(__file__).parents[1] / "data" / "masking" / "corpus.jsonl"
PLAIN: Final = (
    "Добрый день! Подготовьте, пожалуйста, коммерческое предложение для нового клиента. Он хочет перейти на наш "
    "тариф с первого квартала и просит учесть скидку за объём. В письме стоит упомянуть, что мы уже пять лет "
    "работаем с компаниями его отрасли, и привести два коротких примера. Тон деловой, без лишних восклицаний. В "
    "конце предложите созвон на следующей неделе. Отдельно опишите, как устроена поддержка: первая линия отвечает "
    "за час, вторая за четыре, а сложные случаи разбирает инженер. Если получится, сделайте таблицу сравнения с "
    "прошлым договором: сроки, объёмы, условия оплаты. "
)
ROUNDS: Final = 9
DELTA: Final = " отвечает"
DELTAS: Final = 2000


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least CPU seconds of some rounds."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
    return least


def costs() -> None:
    """Print what detection and restoring cost."""
    detect = Detector().detect
    items = list(load(CORPUS))
    dense = "\n".join(item.text for item in items if item.stratum != "negative")[:4000]
    for name, text in (("plain", PLAIN * 4), ("dense", dense), ("a chat of 300 plain characters", PLAIN[:300])):
        seconds = best(lambda text=text: [detect(text) for _ in range(5)]) / 5  # type: ignore[misc]
        print(f"{name}: {seconds * 1e9 / len(text):.0f} µs for 1,000 characters, {seconds * 1e6:.0f} µs in all")
    rows = []
    short = hostile(4000)
    for name, text in hostile(16_000).items():
        long_run, short_run = best(lambda text=text: detect(text), 2), best(lambda name=name: detect(short[name]), 3)  # type: ignore[misc]
        rows.append((long_run * 1e6 / 16_000, long_run / short_run / 4, name))
    rows.sort(reverse=True)
    print(f"hostile, {len(rows)} kinds of 16,000 characters, µs a character (and growth over 4,000, 1 is linear):")
    print("  " + ", ".join(f"{name} {cost:.2f} ({growth:.1f})" for cost, growth, name in rows[:6]))
    for name, piece in (("without tokens", DELTA), ("with a token", " [PERSON_1],")):
        restorer = Restorer(VALUES, hosts=HOSTS)
        seconds = best(lambda restorer=restorer, piece=piece: [restorer.feed(piece) for _ in range(DELTAS)])  # type: ignore[misc]
        print(f"a delta {name}: {seconds * 1e6 / DELTAS:.2f} µs")


async def holds() -> None:
    """Print the longest time for which detection of 8,000 characters holds the event loop."""
    detector = Detector()
    items = list(load(CORPUS))
    dense = "\n".join(item.text for item in items)[:8000]
    worst: list[tuple[float, str]] = []
    for name, text in {**hostile(8000), "dense": dense}.items():
        worst.append((min([await _longest_hold(detector, text) for _ in range(3)]), name))
    worst.sort(reverse=True)
    print(
        "event loop held at most, ms of CPU: " + ", ".join(f"{name} {seconds * 1e3:.1f}" for seconds, name in worst[:4])
    )


async def _longest_hold(detector: Detector, text: str) -> float:
    longest = 0.0
    task = asyncio.create_task(detector.detect_in_turns(text))
    while not task.done():
        begun = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - begun)
    return longest


def fuzz(seed: int, streams: int) -> None:
    """Restore streams, then show that every mutant is noticed."""
    found = first_fault(lambda: Restorer(VALUES, hosts=HOSTS), seed, streams)
    print(f"seed {seed}, {streams} streams: {found or 'every stream equals its whole text'}")
    for name, mutant in MUTANTS.items():
        with applied(mutant) as module:
            caught = first_fault(lambda module=module: module.Restorer(VALUES, hosts=HOSTS), seed, 5000)  # type: ignore[misc]
        print(f"  {'caught  ' if caught else 'SURVIVED'} {name}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuzz", type=int, default=0, metavar="STREAMS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.fuzz:
        fuzz(options.seed, options.fuzz)
        return
    costs()
    asyncio.run(holds())


if __name__ == "__main__":
    main()
