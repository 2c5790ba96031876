"""No secret gets out: a canary stands for each kind, and all output is searched for them.

What callers gave in a request or command may come back, to themselves alone: the name of a field that they made up, an
argument of a wrong form. Values never come back in an error, and never anything of others.
"""

import asyncio
import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from prometheus_client import Counter

from b2b_chat.kit.metrics import exported
from b2b_chat.sandbox.errors import SandboxError
from support.canaries.caller import MARK
from support.canaries.commands import CANNOT_FAIL as CANNOT_FAIL_COMMANDS
from support.canaries.commands import LONG_RUNNING, Commands, list_commands
from support.canaries.stack import Secrets, WatchedStack
from support.canaries.story import Story
from support.canaries.values import Canaries
from support.http.serving import free_port
from support.processes.programs import needed_tool
from support.product.operations import list_operations

KINDS: Final = {
    "email", "message", "answer", "link token", "login request", "known browser", "code", "cookie",
    "API key", "HMAC secret", "keys of hashes",
    "signature", "nonce", "OpenAI key", "DSN", "SMTP password", "Valkey password",
    "second factor",
}  # fmt: skip
CHANNELS: Final = [
    "product stdout", "product stderr", "gateway stdout", "gateway stderr", "PostgreSQL", "product Valkey",
    "gateway Valkey", "audit", "traces",
    "nginx", "error bodies", "commands", "product metrics", "gateway metrics",
]  # fmt: skip
METRICS: Final = CHANNELS[-2:]
CANNOT_FAIL: Final = {
    ("GET", "/sign-in"),
    *(("GET", path) for path in ("/docs", "/docs/openapi.json")),
    *((method, path) for method in ("GET", "HEAD") for path in ("/auth/verify", "/invites/accept")),
}
"""They give every caller the same answer, and need nothing for it."""
FORMS: Final[dict[str, Callable[[str], str]]] = {
    "raw": str,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.urlsafe_b64encode(b"xy" + text.encode()).decode().rstrip("="),
}
PLANTED: Final = f"{MARK}-planted-6Ty"


class Evidence(NamedTuple):
    """What the story left."""

    canaries: Canaries
    channels: dict[str, bytes]
    commands: dict[str, set[int]]
    """The exit codes that each command has ended with."""

    def requests(self, app: str) -> set[tuple[str, str, bool]]:
        """Method, route and success of all that an app was asked for, by its own log."""
        lines = map(json.loads, self.channels[f"{app} stdout"].splitlines())
        return {
            (line["method"], line["route"], line["status"] < 400) for line in lines if line.get("event") == "request"
        }


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(gather(tmp_path_factory.mktemp("watched")))


async def gather(folder: Path) -> Evidence:
    canaries = Canaries()
    async with WatchedStack(folder, Secrets(MARK)).running() as stack:
        story, commands = Story(stack, canaries), Commands(stack)
        operator_key, company = await asyncio.to_thread(commands.set_up)
        story.set_up(operator_key=operator_key, company=company)
        await story.succeed()
        await story.fail()
        await asyncio.to_thread(commands.run_the_rest)
        for form in FORMS.values():
            await plant(form(PLANTED), stack, story, commands)
        audit = stack.sql("SELECT row_to_json(audit_log) FROM audit_log").encode()
        metrics = await stack.metrics()
        for valkey in stack.valkeys.values():
            await valkey.stop()
        await story.lose_valkey()
        await asyncio.to_thread(stack.postgres.stop)
        await story.lose_the_database()
        await asyncio.to_thread(commands.fail)
        await story.close()
        await stack.product.stop()
        await stack.gateway.stop()
        for call in stack.signed_calls:
            canaries.add("signature", call.header(b"x-signature").decode())
            canaries.add("nonce", call.header(b"x-nonce").decode())
        channels = {
            f"{name} {stream}": path.read_bytes()
            for name, process in (("product", stack.product), ("gateway", stack.gateway))
            for stream, path in process.files.items()
        }
        channels |= {
            "PostgreSQL": stack.postgres_log.read_bytes(),
            **{f"{app} Valkey": valkey.log.read_bytes() for app, valkey in stack.valkeys.items()},
            "audit": audit,
            "traces": stack.collector.written,
            "nginx": stack.nginx.logs().encode() if stack.nginx else b"",
            "error bodies": story.error_bodies,
            "commands": commands.written,
            "product metrics": metrics["product"].encode(),
            "gateway metrics": metrics["gateway"].encode(),
        }
    return Evidence(canaries, channels, commands.ended_with)


async def plant(leak: str, stack: WatchedStack, story: Story, commands: Commands) -> None:
    """Put something into every channel, by a way that leads there and lets it through."""
    # A request id is logged, traced, kept in the audit log, and passed on.
    await story.ask_under(leak)
    stack.product.write_on_stderr(leak.encode() + b"\n")
    stack.gateway.write_on_stderr(leak.encode() + b"\n")
    with pytest.raises(SandboxError):
        stack.sql(f"SELECT '{leak}' FROM nowhere")  # noqa: S608 - it is to fail, and to be logged
    for valkey in stack.valkeys.values():
        await valkey.write_in_log(leak)
    await story.ask_for_path(leak)
    await story.ask_with_field(leak)
    await asyncio.to_thread(commands.repeat, leak)


def test_every_kind_and_channel_is_there(evidence: Evidence) -> None:
    assert evidence.canaries.kinds == KINDS
    assert list(evidence.channels) == CHANNELS
    assert {name for name, written in evidence.channels.items() if not written} <= {"nginx"}


def test_every_operation_has_succeeded_and_failed(evidence: Evidence) -> None:
    operations = {(operation.method, operation.path) for operation in list_operations()}
    asked = evidence.requests("product")
    routes = {(method, re.sub(":[a-z]+", "", route), ok) for method, route, ok in asked}
    assert operations - {(method, route) for method, route, ok in routes if ok} == set()
    assert operations - {(method, route) for method, route, ok in routes if not ok} == CANNOT_FAIL
    assert {("GET", "/internal/ping", True), ("POST", "/v1/chat", True), ("POST", "/v1/chat", False)} <= (
        evidence.requests("gateway")
    )


def test_every_command_has_succeeded_and_failed(evidence: Evidence) -> None:
    """A new command belongs into `Commands.run_the_rest`, and fails in `Commands.fail` by itself."""
    names = {name for name, _ in list_commands()}
    assert {name for name in names if 0 not in evidence.commands[name]} == LONG_RUNNING
    assert {name for name in names if not evidence.commands[name] - {0}} == CANNOT_FAIL_COMMANDS


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_valkey_was_in_use_and_all_of_its_traffic_was_searched(evidence: Evidence, app: str) -> None:
    (line,) = re.findall(rb"(?m)^b2b_chat_valkey_seconds_count (.+)$", evidence.channels[f"{app} metrics"])
    assert float(line) > 10
    # The mark of its most talkative level.
    assert re.search(rb"(?m)^\d+:M .{24} \. ", evidence.channels[f"{app} Valkey"])


def need(channel: str) -> None:
    """Skip what cannot be seen here, or fail where it must be."""
    if channel == "nginx":
        needed_tool("nginx", package="nginx-light")


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_canary_is_found(evidence: Evidence, channel: str) -> None:
    need(channel)
    assert evidence.canaries.hits(evidence.channels[channel]) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if channel not in METRICS])
def test_a_planted_leak_is_found(evidence: Evidence, channel: str, form: str) -> None:
    need(channel)
    leak = Canaries()
    leak.add("planted", PLANTED)
    found = leak.hits(
        evidence.channels[channel].replace(PLANTED.encode(), b"") if form != "raw" else evidence.channels[channel]
    )
    assert any(hit.form.lower().startswith(form) for hit in found), found


@pytest.mark.parametrize("form", FORMS)
async def test_a_leak_into_metrics_is_found(form: str) -> None:
    """Their labels are few and fixed, so the leak is one of the test's own, shown as theirs are."""
    leak = Canaries()
    leak.add("planted", PLANTED)
    Counter(f"planted_{form}", "A leak.", ["label"]).labels(FORMS[form](PLANTED)).inc()
    port = free_port()
    async with exported("127.0.0.1", port, workers=1), httpx.AsyncClient() as http:
        shown = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert any(hit.form.lower().startswith(form) for hit in leak.hits(shown.content))


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_every_line_is_json_and_of_its_app(evidence: Evidence, app: str) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in evidence.channels[f"{app} stdout"].splitlines()]
    assert {line["app"] for line in lines} == {f"{app}_api"}
    assert evidence.channels[f"{app} stderr"].splitlines() == [form(PLANTED).encode() for form in FORMS.values()]
