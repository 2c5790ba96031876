"""Does the time of `POST /auth/request-link` reveal whether an address is known?

Starts the whole software as `b2b-chat up` does, peoples it, and asks for links for addresses of four kinds in random
order, one request at a time, each for an address that was not asked for before (`limited` ones were, until they were
limited). Prints for each kind how long the answers took, and how well the best guesser could tell it from `unknown` by
time alone: by the Kolmogorov-Smirnov statistic, and its p-value by the asymptotic formula.

    uv run python tests/bench/login_timing.py [SAMPLES_OF_EACH_KIND] [PAUSE_SECONDS]

`closely` asks for an address of each kind and measures a second request right after it, whose time might show the work
that the first one left behind.
"""

import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

KINDS = ("unknown", "known", "blocked", "limited")
NO_LIMITS = {"LOGIN_RPM_PER_IP": "10000000"}


def percentile(sorted_times: Sequence[float], share: float) -> float:
    return sorted_times[min(len(sorted_times) - 1, int(share * len(sorted_times)))]


def ks(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The largest distance between two distributions, and how likely it is to come of chance."""
    points = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    counts, distance = [0, 0], 0.0
    for _, which in points:
        counts[which] += 1
        distance = max(distance, abs(counts[0] / len(one) - counts[1] / len(other)))
    effective = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    scaled = (effective + 0.12 + 0.11 / effective) * distance
    p_value = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return distance, min(1.0, max(0.0, p_value))


async def people_it(database_url: str, samples: int) -> dict[str, list[str]]:
    """Addresses of each kind."""
    addresses = {kind: [f"{uuid4().hex}@example.test" for _ in range(samples)] for kind in KINDS}
    connection = await asyncpg.connect(database_url)
    for kind in ("known", "blocked", "limited"):
        await connection.executemany(
            "INSERT INTO users (id, email, blocked_at) VALUES ($1, $2, CASE WHEN $3 THEN now() END)",
            [(uuid4(), email, kind == "blocked") for email in addresses[kind]],
        )
    # Who belongs to no company has nothing to sign in for, and gets no mail.
    await connection.execute(
        "INSERT INTO memberships (company_id, user_id, role) SELECT $1, id, 'member' FROM users ON CONFLICT DO NOTHING",
        await connection.fetchval("SELECT id FROM companies LIMIT 1"),
    )
    await connection.close()
    return addresses


def ask(http: httpx.Client, email: str) -> float:
    """Ask for a link, and return how many seconds the answer took."""
    body = json.dumps({"email": email}).encode()
    started_at = time.perf_counter()
    answer = http.post("/auth/request-link", content=body, headers={"Content-Type": "application/json"})
    seconds = time.perf_counter() - started_at
    assert answer.status_code == 202, answer.text
    http.cookies.clear()  # each is a browser of its own
    return seconds


def measure(http: httpx.Client, addresses: dict[str, list[str]], pause_seconds: float) -> dict[str, list[float]]:
    turns = [(kind, email) for kind in KINDS for email in addresses[kind]]
    random.shuffle(turns)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _, email in turns[:50]:
        ask(http, f"warm-{email}")
    for kind, email in turns:
        times[kind].append(ask(http, email))
        time.sleep(pause_seconds)
    return times


def measure_closely(http: httpx.Client, addresses: dict[str, list[str]]) -> dict[str, list[float]]:
    turns = [(kind, email) for kind in KINDS for email in addresses[kind]]
    random.shuffle(turns)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind, email in turns:
        ask(http, email)
        times[kind].append(ask(http, f"{uuid4().hex}@example.test"))
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    columns = " ".join(f"{name:>8}" for name in ("mean", "p10", "p50", "p90", "p99"))
    lines = ["", title, f"{'kind':9} {'n':>5} {columns}  ms   KS against unknown"]
    for kind in KINDS:
        ordered = sorted(times[kind])
        figures = [statistics.fmean(ordered), *(percentile(ordered, share) for share in (0.1, 0.5, 0.9, 0.99))]
        distance, p_value = ks(ordered, sorted(times["unknown"]))
        told = "" if kind == "unknown" else f"D = {distance:.3f}, p = {p_value:.2f}"
        shown = " ".join(f"{1000 * figure:8.3f}" for figure in figures)
        lines.append(f"{kind:9} {len(ordered):5} {shown}       {told}")
    sys.stdout.write("\n".join(lines) + "\n")


def main(samples: int, pause_seconds: float) -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    ports = dict.fromkeys(("PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT", "MAIL_CATCHER_PORT"), "0")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "b2b_chat.cli", "up", "--json", "--data-dir", folder]
        environ = {**kept, **ports, **NO_LIMITS}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
            assert up.stdout is not None
            where: dict[str, Any] = json.loads(up.stdout.readline())
            try:
                with httpx.Client(base_url=where["product_url"], trust_env=False, timeout=30) as http:
                    addresses = asyncio.run(people_it(where["database_url"], samples))
                    for email in addresses["limited"]:
                        for _ in range(10):
                            ask(http, email)
                    report("One request at a time", measure(http, addresses, pause_seconds))
                    fresh = asyncio.run(people_it(where["database_url"], samples))
                    fresh["limited"] = addresses["limited"]
                    report("A request right after one for an address of the kind", measure_closely(http, fresh))
            finally:
                up.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
