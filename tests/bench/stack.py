"""Our services as they run in production, of this checkout or of another one."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from b2b_chat.sandbox.ports import free_ports
from bench.dialects import Target
from bench.loader import Upstream, clean_environ, spawned, wait_until_answering

COMPANIES: Final = 32
SECRET: Final = "5bd41c93e7f04c1f8aa6f7df2c2f3a90"
_STOP_SECONDS: Final = 60
_PARTS: Final = ("product", "gateway", "postgres", "valkey")
_SEED: Final = """
import json, os
from b2b_chat.sandbox.world import seed
print(json.dumps([seed(os.environ, None) for _ in range({companies})]))
"""
_SETTINGS: Final = {
    "APP_ENV": "dev",
    "GATEWAY_SHARED_SECRET": SECRET,
    "SESSION_SECRET": "6e0c7a52d9f14b3c8b1f5a90c4d72e18",
    "AUTH_TOKEN_SECRET": "a83f1c6d07e24f9bb5c2d94e60718f3a",
    "INVITE_TOKEN_SECRET": "d1975be80c3a4f62a7e4f0b3952c6d81",
    "OPENAI_API_KEY": "sk-bench-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6",
    # What a company has must not be what limits how many of its answers are open at once.
    "PRICE_PROMPT_CREDITS_PER_1K_TOKENS": "0",
    "PRICE_COMPLETION_CREDITS_PER_1K_TOKENS": "0.000001",
    "UPSTREAM_MAX_CONNECTIONS": "4096",
    "CHAT_RPM_PER_COMPANY": "10000000",
    "CHAT_RPM_PER_USER": "10000000",
    "CHAT_RPM_PER_IP": "10000000",
    "CHAT_OPEN_ANSWERS_PER_USER": "10000",
    "CHAT_USER_HOLD_PERCENT": "100",
}


class Services(NamedTuple):
    """Our services under load."""

    product: Target | None
    gateway: Target
    database_url: str | None
    families: dict[str, list[int]]
    logs: Path


@contextmanager
def running_gateway(
    upstream: Upstream, logs: Path, *, python: str = sys.executable, name: str = "gateway"
) -> Iterator[Services]:
    """gateway_api alone."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environ = clean_environ(**_SETTINGS, OPENAI_BASE_URL=f"{upstream.url}/v1", GATEWAY_PORT=str(port))
    command = [python, "-P", "-m", "b2b_chat.cli", "gateway"]
    with spawned(name, command, environ=environ, logs=logs) as child:
        wait_until_answering(child, f"{url}/health")
        families = {"gateway": [child.pid], "upstream": [upstream.pid]}
        yield Services(None, Target("gateway", url, [SECRET]), None, families, logs)


@contextmanager
def running_stack(
    upstream: Upstream,
    folder: Path,
    *,
    python: str = sys.executable,
    companies: int = COMPANIES,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Services]:
    """product_api, gateway_api and PostgreSQL, with so many companies, as `b2b-chat up` runs them.

    Raises:
        RuntimeError: They do not start.
    """
    folder.mkdir()
    folder.chmod(0o755)
    environ = clean_environ(
        **_SETTINGS,
        **dict.fromkeys(("PRODUCT_PORT", "GATEWAY_PORT"), "0"),
        OPENAI_BASE_URL=f"{upstream.url}/v1",
        SMTP_HOST="127.0.0.1",
        EMAIL_FROM="chat@example.test",
        **(settings or {}),
    )
    command = [python, "-P", "-m", "b2b_chat.cli", "up", "--json", "--data-dir", str(folder / "data")]
    with (
        (folder / "up.log").open("wb") as log,
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log) as up,
    ):
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            if not line:
                raise RuntimeError(f"`b2b-chat up` did not start:\n{(folder / 'up.log').read_text()}")
            where = json.loads(line)
            families = {**_families(up.pid), "upstream": [upstream.pid]}
            keys = _api_keys(python, {**environ, "DATABASE_URL": where["database_url"]}, companies)
            product = Target("product", where["product_url"], keys)
            gateway = Target("gateway", where["gateway_url"], [SECRET])
            yield Services(product, gateway, where["database_url"], families, folder / "data" / "logs")
        finally:
            up.terminate()
            try:
                up.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                up.kill()


def _families(up_pid: int) -> dict[str, list[int]]:
    """The first process of each part that `up` started."""
    found: dict[str, list[int]] = {}
    for child in psutil.Process(up_pid).children():
        words = " ".join([child.name(), *child.cmdline()[-1:]])
        for part in _PARTS:
            if part in words:
                found.setdefault(part, []).append(child.pid)
                break
    return found


def _api_keys(python: str, environ: dict[str, str], companies: int) -> list[str]:
    """A key of each of so many new companies, made by that checkout's own code."""
    program = _SEED.format(companies=companies)
    done = subprocess.run([python, "-P", "-c", program], env=environ, check=True, capture_output=True, text=True)
    keys: list[str] = json.loads(done.stdout.splitlines()[-1])
    return keys
