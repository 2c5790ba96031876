"""CPU time per chat of every process, read from the OS, so that the figures hold on a noisy machine.

    uv run python tests/bench/chat_cpu.py [--requests 400] [--concurrency 16] [--rounds 5]

Starts the whole stack as `b2b-chat up` does, sends whole and streamed chats, and prints the median of the rounds as
a table, and all figures as JSON with `--json FILE`.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil

CASES = {
    "whole, 50 tokens": ("[[simulate: tokens=50]] hello", False),
    "streamed, 100 deltas in bursts": ("[[simulate: tokens=100]] hello", True),
    "streamed, 100 deltas, 50 per second": ("[[simulate: tokens=100; tps=50]] hello", True),
}


@contextmanager
def running_stack() -> Iterator[dict[str, Any]]:
    """`b2b-chat up` on free ports and a fresh folder."""
    ports = dict.fromkeys(("PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT"), "0")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        process = subprocess.Popen(
            [sys.executable, "-m", "b2b_chat.cli", "up", "--json", "--data-dir", f"{folder}/data"],
            stdout=subprocess.PIPE,
            env={**os.environ, **ports},
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("the stack did not start")
            yield {"pid": process.pid, **json.loads(line)}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def processes_of(stack: dict[str, Any]) -> dict[str, list[psutil.Process]]:
    """The processes of each part: a server with its workers."""
    ports = {urlsplit(stack[f"{name}_url"]).port: name for name in ("product", "gateway", "openai")}
    parts: dict[str, list[psutil.Process]] = {}
    for child in psutil.Process(stack["pid"]).children():
        family = [child, *child.children(recursive=True)]
        listening = {c.laddr.port for p in family for c in p.net_connections("tcp") if c.status == "LISTEN"}
        name = next((ports[port] for port in listening if port in ports), None)
        parts[name or ("postgres" if "postgres" in child.name() else "other")] = family
    return parts


def cpu_seconds(family: list[psutil.Process]) -> float:
    """User and system time of these processes and their ended children."""
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


async def load(stack: dict[str, Any], case: str, requests: int, concurrency: int) -> int:
    """Send that many chats; return how many were answered in full."""
    text, stream = CASES[case]
    gate = asyncio.Semaphore(concurrency)
    headers = {"Authorization": f"Bearer {stack['api_key']}"}
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(stack["product_url"], headers=headers, connector=connector) as client:

        async def one() -> bool:
            body = {"client_message_id": uuid.uuid4().hex, "text": text, "stream": stream}
            async with gate, client.post("/v1/chat", json=body) as response:
                answer = await response.read()
                return response.status == 200 and (b"event: final" in answer or not stream)

        return sum(await asyncio.gather(*(one() for _ in range(requests))))


def measure(stack: dict[str, Any], case: str, requests: int, concurrency: int) -> dict[str, float]:
    """CPU milliseconds per chat of each part, and the wall time of the round."""
    before = {name: cpu_seconds(family) for name, family in processes_of(stack).items()}
    started = time.perf_counter()
    answered = asyncio.run(load(stack, case, requests, concurrency))
    wall = time.perf_counter() - started
    if answered != requests:
        raise SystemExit(f"{requests - answered} of {requests} chats were not answered")
    after = {name: cpu_seconds(family) for name, family in processes_of(stack).items()}
    figures = {name: (after[name] - spent) * 1000 / requests for name, spent in before.items() if name in after}
    return {**figures, "wall_seconds": wall}


def main() -> None:
    """Measure every case and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, list[dict[str, float]]] = {}
    with running_stack() as stack:
        for case in CASES:
            asyncio.run(load(stack, case, 50, options.concurrency))
            for number in range(options.rounds):
                print(f"\r{case}: round {number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
                figures.setdefault(case, []).append(measure(stack, case, options.requests, options.concurrency))
            print(file=sys.stderr)
    names = ["product", "gateway", "postgres", "openai"]
    print(f"{'CPU ms per chat (median of rounds)':40}" + "".join(f"{name:>12}" for name in names))
    for case, rounds in figures.items():
        print(f"{case:40}" + "".join(f"{statistics.median(r[name] for r in rounds):12.2f}" for name in names))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
