"""CPU time of gateway_api alone: for each call, and for each delta of a stream.

    PYTHONPATH=tests uv run python tests/bench/gateway_cpu.py [--case whole] [--rounds 5] [--against PYTHON] [--nginx]

A gateway process stands between an OpenAI that does nothing but write prepared bytes and a client that signs its calls
and checks every answer, each a process of its own. `--against` adds the gateway of another environment (a checkout of
the commit before, say), `--nginx` a bare proxy as the limit; all take turns in every round. Settings of the gateway
come from the environment as ever.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from bench.gateway_load import Load, Outcome
from support.http.serving import free_port, until_listening

SECRET: Final = "Qm7uW2xR9tLz4KpB8vNc1YsD6fGh3JkE"
LOAD: Final = Path(__file__).with_name("gateway_load.py")


class Case(NamedTuple):
    """A kind of call, and how many of them."""

    title: str
    load: Load


CASES: Final = {
    "whole": Case("whole answer", Load(calls=2000, streams=16)),
    "ready": Case("100 deltas, written separately, ready together", Load(calls=300, streams=16, deltas=100)),
    "slow": Case("20 deltas a second, 200 streams", Load(calls=200, streams=200, deltas=100, per_second=20)),
    "quick": Case("100 deltas a second, 40 streams", Load(calls=120, streams=40, deltas=100, per_second=100)),
    "rapid": Case("400 deltas a second, 16 streams", Load(calls=160, streams=16, deltas=100, per_second=400)),
}


class Subject(NamedTuple):
    """What is measured: where it listens, and its main process."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children, threads that have ended included."""
        main = psutil.Process(self.pid)
        return sum(_cpu_clock(process.pid) for process in (main, *main.children(recursive=True)))

    def memory_bytes(self) -> int:
        """Private memory of the process and its children."""
        main = psutil.Process(self.pid)
        return sum(process.memory_full_info().uss for process in (main, *main.children(recursive=True)))


def _cpu_clock(pid: int) -> float:
    """A process's CPU clock, exact to the nanosecond where /proc counts in ticks; see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def started(command: list[str], port: int, **environ: str) -> Iterator[int]:
    """A program that listens, as its process id."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT)
        try:
            asyncio.run(until_listening(port, timeout_seconds=30))
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def gateway(python: str, upstream_port: int) -> Iterator[tuple[int, int]]:
    """A gateway, by the interpreter of its environment."""
    port = free_port()
    settings = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_SHARED_SECRET": SECRET,
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
        "UPSTREAM_MAX_CONNECTIONS": "5000",
    }
    with started([python, "-m", "b2b_chat.cli", "gateway"], port, **settings) as pid:
        yield port, pid


@contextmanager
def nginx(upstream_port: int) -> Iterator[tuple[int, int]]:
    """A bare proxy that does nothing but pass on."""
    port = free_port()
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(f"""
            worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
            events {{ worker_connections 8000; }}
            http {{
              access_log {folder}/access;
              client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
              fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
              upstream openai {{ server 127.0.0.1:{upstream_port}; keepalive 256; }}
              server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass http://openai; proxy_http_version 1.1; proxy_set_header Connection "";
                              proxy_buffering off; }}
              }}
            }}""")
        with started([program, "-c", str(config)], port) as pid:
            yield port, pid


def measure(subject: Subject, load: Load) -> tuple[float, Outcome]:
    """CPU seconds of a subject under a load, and how its answers came."""
    before = subject.cpu_seconds()
    command = [sys.executable, str(LOAD), "client", str(subject.port), SECRET, json.dumps(load._asdict())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return subject.cpu_seconds() - before, Outcome(**json.loads(done.stdout))


def main() -> None:
    """Measure every case and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--nginx", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        upstream_port = free_port()
        stack.enter_context(started([sys.executable, str(LOAD), "upstream", str(upstream_port)], upstream_port))
        subjects = [
            Subject(name, *stack.enter_context(gateway(python, upstream_port)))
            for name, python in [("this", sys.executable), *((path, path) for path in options.against)]
        ]
        if options.nginx:
            subjects.append(Subject("nginx", *stack.enter_context(nginx(upstream_port))))
        for name in options.case or CASES:
            report(CASES[name], subjects, options.rounds)


def report(case: Case, subjects: list[Subject], rounds: int) -> None:
    """Measure one case, in turn, and print its line for each subject."""
    figures: dict[str, list[tuple[float, Outcome]]] = {subject.name: [] for subject in subjects}
    for subject in subjects:
        measure(subject, case.load._replace(calls=max(case.load.calls // 10, case.load.streams)))
    for _ in range(rounds):
        for subject in subjects:
            figures[subject.name].append(measure(subject, case.load))
    print(case.title)
    deltas = case.load.calls * case.load.deltas
    for name, found in figures.items():
        cpu = statistics.median(seconds for seconds, _ in found)
        spread = max(seconds for seconds, _ in found) / min(seconds for seconds, _ in found)
        line = f"  {name:28.28} {cpu / case.load.calls * 1e6:9.1f} us a call"
        if deltas:
            line += f" {cpu / deltas * 1e6:7.1f} us a delta"
            line += f" {statistics.median(outcome.events for _, outcome in found) / case.load.calls:6.1f} events a call"
        first_ms = statistics.median(outcome.first_ms_p50 for _, outcome in found)
        last_ms = statistics.median(outcome.first_ms_p99 for _, outcome in found)
        print(f"{line}   first byte of text {first_ms:.1f} / {last_ms:.1f} ms (p50/p99), spread x{spread:.2f}")


if __name__ == "__main__":
    main()
