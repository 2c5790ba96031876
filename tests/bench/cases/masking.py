"""What masking adds to a chat and to a delta of product_api: companies that mask beside companies that do not."""

import asyncio
from typing import Final

import uvloop

from bench.masking_cpu import PLAIN
from bench.product_cpu import Place, each_answered, product
from bench.report import Table, middle
from bench.rounds import Bench
from support.database.world import open_world

COMPANIES: Final = 16
_CHATS: Final = 400
_DELTAS: Final = 100
_OFF: Final = """
    INSERT INTO masking_policies (company_id, policy)
    SELECT id, '{"groups": {"people": "off", "contacts": "off", "money": "off", "secrets": "off", "terms": "off"}}'
    FROM unnest($1::uuid[]) AS id
"""
_TEXTS: Final = {
    "whole answer, 300 plain characters": (PLAIN[:300] + " ", False),
    "100 deltas, 300 plain characters": (PLAIN[:300] + " ", True),
    "100 deltas, a person named": ("Напишите, пожалуйста, Соколовой Ирине Павловне. ", True),
}


def run(bench: Bench, *, rounds: int) -> None:
    """Measure each text with and without masking, in turn."""
    with product(dict.fromkeys(_LIMITS, "10000000"), companies=2 * COMPANIES) as place:
        found = uvloop.run(_measured(bench, place, rounds))
    rows = []
    for name, sides in found.items():
        off, on = (middle(sides[side]) for side in ("off", "on"))
        added = [1000 * (with_it - without) for without, with_it in zip(sides["off"], sides["on"], strict=True)]
        a_delta = f"{middle(added) / _DELTAS:.2f}" if _TEXTS[name][1] else ""
        rows.append(
            [name, f"{off:.3f}", f"{on:.3f}", f"{middle(added):.0f} ({min(added):.0f}-{max(added):.0f})", a_delta]
        )
    columns = ["product_api, CPU of a chat", "off, ms", "on, ms", "added, µs", "for each delta, µs"]
    note = f"Medians of {rounds} rounds in turn (range), {COMPANIES} senders."
    bench.report.add(Table("Masking: what it adds", columns, rows, note))
    bench.report.figures["masking"] = found


_LIMITS: Final = ("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP")


async def _measured(bench: Bench, place: Place, rounds: int) -> dict[str, dict[str, list[float]]]:
    sides = {"on": place.people[:COMPANIES], "off": place.people[COMPANIES:]}
    async with open_world(place.database_url) as world:
        await world.rows(_OFF, [person.company_id for person in sides["off"]])
    found: dict[str, dict[str, list[float]]] = {name: {side: [] for side in sides} for name in _TEXTS}
    for number in range(rounds + 1):
        for name, (text, stream) in _TEXTS.items():
            for side, people in sides.items():
                figures = await each_answered(
                    place._replace(people=people),
                    deltas=_DELTAS if stream else 50,
                    stream=stream,
                    chats=_CHATS,
                    at_once=COMPANIES,
                    text=text,
                )
                if number:  # the first round warms up
                    found[name][side].append(figures["product_ms"])
                await asyncio.sleep(0)
        bench.report.say(f"masking, round {number}/{rounds}")
    return found
