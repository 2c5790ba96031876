"""product_api as production runs it: a process with signals, a log, and an end."""

import asyncio
import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, sending, whole
from support.processes.commands import clean_environ, run
from support.processes.waiting import until
from support.product.app import SHARED_SECRET, client_of, environ, error_of, kill_all_of, product_process

SAME = {"client_message_id": "same"}


async def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and all output of a process that is about to end."""
    stdout, stderr = await asyncio.to_thread(process.communicate, timeout=30)
    return process.returncode, stdout + stderr


def log_lines(output: str) -> list[dict[str, Any]]:
    """The lines of a process's log. Granian's supervisor has its own form, and says no more than that it is there."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


class TestSigterm:
    async def test_running_answers_may_finish(
        self, tmp_path: Path, database_url: str, gateway: FakeGateway, world: World, person: Person
    ) -> None:
        gateway.reply = gate = Gate("Once ")
        async with (
            product_process(tmp_path, database_url, gateway.url, SHUTDOWN_GRACE_SECONDS="20") as (url, process),
            client_of(url, person) as client,
            client.streaming(**SAME) as events,
        ):
            assert [(await anext(events)).name, (await anext(events)).name] == ["start", "delta"]
            process.send_signal(signal.SIGTERM)
            gate.open()
            assert [event.name async for event in events] == ["delta", "final"]
            code, _ = await ended(process)
        assert code == 0
        assert (await world.answer(person))["status"] == "completed"
        await world.check_books()

    @pytest.mark.parametrize("stream", [False, True])
    async def test_what_does_not_finish_is_interrupted_and_may_be_sent_again(
        self, tmp_path: Path, database_url: str, gateway: FakeGateway, world: World, person: Person, stream: bool
    ) -> None:
        gateway.reply = Gate("Once ")
        async with (
            product_process(tmp_path, database_url, gateway.url) as (url, process),
            client_of(url, person) as client,
        ):
            sending_task = asyncio.create_task(client.stream(**SAME) if stream else client.send(**SAME))
            await gateway.call()
            process.send_signal(signal.SIGTERM)
            told: Any = await sending_task
            if isinstance(told, list):
                assert (told[-1].name, told[-1].data["detail"]["code"]) == ("error", "interrupted")
            else:
                assert error_of(told) == (503, "interrupted")
                assert "retry-after" in told.headers
            code, _ = await ended(process)
        assert code == 0
        answer = await world.answer(person)
        assert (answer["status"], answer["error_code"]) == ("error", "interrupted")
        assert [hold["state"] for hold in await world.holds(person)] == ["voided"]
        await asyncio.wait_for(gateway.calls[0].left.wait(), 5)
        await world.check_books()

    async def test_an_idle_process_ends_at_once_and_well(
        self, tmp_path: Path, database_url: str, gateway: FakeGateway
    ) -> None:
        async with product_process(tmp_path, database_url, gateway.url, SHUTDOWN_GRACE_SECONDS="600") as (_, process):
            process.send_signal(signal.SIGTERM)
            code, output = await ended(process)
        assert code == 0
        assert "Traceback" not in output


async def test_what_a_killed_process_left_is_given_up_by_the_next(
    tmp_path: Path, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate("Once ")
    lease = {"CHAT_LEASE_SECONDS": "1"}
    async with (
        product_process(tmp_path, database_url, gateway.url, **lease) as (url, process),
        client_of(url, person) as client,
        client.streaming(**SAME) as events,
    ):
        start = (await anext(events)).data
        await gateway.call()
        kill_all_of(process)
        await ended(process)
    assert (await world.answer(person))["status"] in {"pending", "streaming"}
    gateway.forget()
    async with (
        product_process(tmp_path, database_url, gateway.url, **lease) as (url, process),
        client_of(url, person) as client,
    ):

        async def is_given_up() -> object:
            return (await world.answer(person))["status"] == "error"

        await until(is_given_up)
        assert (await world.answer(person))["error_code"] == "interrupted"
        assert [hold["state"] for hold in await world.holds(person)] == ["expired"]
        await world.check_books()
        again = await client.ask(**SAME)
        assert {name: again[name] for name in start} == start
    await world.check_books()


class TestLog:
    async def test_each_request_has_one_line_with_its_id(
        self, tmp_path: Path, database_url: str, gateway: FakeGateway, person: Person
    ) -> None:
        async with (
            product_process(tmp_path, database_url, gateway.url) as (url, process),
            client_of(url, person) as client,
        ):
            mine = {"X-Request-ID": "mine-1"}
            await client.http.get("/v1/balance", headers=mine)
            replaced = [
                (await client.http.get("/v1/nothing/here", headers={b"X-Request-ID": wrong})).headers["x-request-id"]
                for wrong in (b"", b"a b", b"x" * 129, b'a"b', b"\xe9")
            ]
            process.send_signal(signal.SIGTERM)
            _, output = await ended(process)
        lines = log_lines(output)
        requests = {
            line.get("client_request_id", line["request_id"]): line
            for line in lines
            if line["event"] == "request" and line["route"] != "/health"
        }
        assert set(requests) == {"mine-1", *replaced}
        assert (
            requests["mine-1"].items()
            >= {
                "app": "product_api",
                "level": "info",
                "method": "GET",
                "route": "/v1/balance",
                "status": 200,
            }.items()
        )
        assert requests[replaced[0]]["status"] == 404
        assert "nothing" not in requests[replaced[0]]["route"]

    async def test_nothing_that_is_secret_or_said_is_in_it(
        self, tmp_path: Path, database_url: str, gateway: FakeGateway, world: World
    ) -> None:
        person = await world.person()
        canaries = {
            "asked": "canary-asked-0f3",
            "answered": "canary-answered-1e4",
            "gateway": "canary-gateway-2d5",
            "path": "canary-path-3c6",
            "query": "canary-query-4b7",
            "header": "canary-header-5a8",
            "unknown key": "b2b_" + "c" * 48,
            "field": "canary-field-698",
            "key": person.api_key,
            "secret": SHARED_SECRET,
            "password": "canary-password-7b1",
        }
        parts = urlsplit(database_url)
        user = parts.username or ""
        with_password = database_url.replace(f"//{user}@", f"//{user}:{canaries['password']}@")
        async with (
            product_process(tmp_path, with_password, gateway.url, LOG_LEVEL="DEBUG") as (url, process),
            client_of(url, person) as client,
        ):
            gateway.reply = sending(
                whole(200, json.dumps({"text": canaries["answered"], "usage": None}).encode()), hang_up=True
            )
            await client.ask(canaries["asked"])
            failure = {"type": "a", "code": "b", "message": canaries["gateway"], "retryable": True}
            gateway.reply = sending(whole(500, json.dumps({"error": failure}).encode()))
            await client.send(canaries["asked"])
            gateway.reply = sending(canaries["gateway"].encode())
            await client.send(canaries["asked"], stream=True)
            await client.http.get(f"/{canaries['path']}?{canaries['query']}=1")
            await client.http.get("/v1/balance", headers={"X-Request-ID": f"{canaries['header']} x"})
            await client.http.get("/v1/balance", headers={"Authorization": f"Bearer {canaries['unknown key']}"})
            await client.http.get("/v1/ledger", params={"cursor": canaries["query"]})
            await client.http.post("/v1/chat", json={canaries["field"]: canaries["field"]})
            await world.rows("ALTER TABLE messages RENAME TO hidden")
            try:
                assert error_of(await client.send(canaries["asked"])) == (500, "internal_error")
            finally:
                await world.rows("ALTER TABLE hidden RENAME TO messages")
            process.send_signal(signal.SIGTERM)
            _, output = await ended(process)
        lines = log_lines(output)
        failed = [line for line in lines if line["event"] == "request_failed"]
        assert any("UndefinedTableError" in where for where in failed[0]["exception"])
        found = {what for what, canary in canaries.items() if canary in output}
        assert found == set()
        assert "example.test" not in output


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"DATABASE_URL": "", "PRODUCT_PORT": "canary"}, ["DATABASE_URL", "PRODUCT_PORT"]),
        (
            {"APP_ENV": "prod", "GATEWAY_SHARED_SECRET": "canary-2b7", "OPENAI_API_KEY": "sk-canary-0123456789"},
            ["GATEWAY_SHARED_SECRET", "OPENAI_API_KEY"],
        ),
    ],
)
def test_unsafe_settings_end_it_by_name(tmp_path: Path, variables: dict[str, str], named: list[str]) -> None:
    settings = environ("postgresql://canary@localhost/none", "http://127.0.0.1:1", **variables)
    done = run("product", environ=clean_environ(tmp_path, **settings), timeout_seconds=30)
    assert done.returncode != 0
    assert done.stdout == ""
    assert all(any(name in line for line in done.stderr.splitlines()) for name in named)
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_ends_it_in_one_line(tmp_path: Path, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = environ(database_url, "http://127.0.0.1:1", PRODUCT_PORT=str(port))
        done = run("product", environ=clean_environ(tmp_path, **settings), timeout_seconds=30)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line


async def test_it_answers_as_it_does_in_the_tests(
    tmp_path: Path, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    async with (
        product_process(tmp_path, database_url, gateway.url) as (url, _),
        client_of(url, person) as client,
    ):
        answer = await client.ask(**SAME)
        assert answer["text"] == ANSWER
        events = await client.stream(**SAME)
        assert [event.name for event in events] == ["start", "delta", "final"]
        assert events[-1].data["balance_credits"] == answer["balance_credits"]
    await world.check_books()
