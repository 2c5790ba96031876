"""What masking promises, by whole processes: both apps with two workers, PostgreSQL, Valkey and the simulated OpenAI.

A canary of every kind goes by every path of a message. None may be found in what reaches OpenAI or the gateway, in what
the processes log, report and trace, in the audit log, in error bodies, or in what the gateway keeps. Every path has
canaries of its own, so that a hit names the path and the kind.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from b2b_chat.product.masking.kinds import DEFAULTS, Kind
from support.canaries.caller import MARK
from support.canaries.stack import DATABASE, Secrets, WatchedStack
from support.database.world import open_world
from support.masking.planted import SENTENCES, Plants, found_in, strings_of
from support.product.app import Client, client_of, error_of

PATHS: Final = (
    "whole", "stream", "retry", "history", "restart", "policy switched on", "stop", "second worker", "edited title",
    "preview", "blocked", "completions", "tools", "responses", "images",
)  # fmt: skip
CHANNELS: Final = (
    "OpenAI", "border", "product stdout", "product stderr", "gateway stdout", "gateway stderr", "product metrics",
    "gateway metrics", "traces", "audit", "error bodies", "gateway's records", "gateway's Valkey log",
)  # fmt: skip
EVERYTHING: Final = {group.value: "mask" for group in DEFAULTS}
NOTHING: Final = {group.value: "off" for group in DEFAULTS}
POLICY: Final = "/v1/company/masking"
CONNECTIONS: Final = 8
"""New connections at once: the system spreads them over the workers."""
IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOL: Final[dict[str, Any]] = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


class Evidence(NamedTuple):
    """What the paths left."""

    plants: dict[str, Plants]
    channels: dict[str, bytes]
    unmasked: bytes
    """What reached OpenAI while the policy was off."""
    planted: dict[str, bytes]
    """Channels after a leak was planted in them."""


class Walk:
    """Sends the canaries of every path."""

    def __init__(self, stack: WatchedStack, client: Client) -> None:
        self.stack, self.client = stack, client
        self.plants = {path: Plants(path, number) for number, path in enumerate(PATHS)}
        self.errors: list[bytes] = []
        self.unmasked: dict[str, slice] = {}
        """Where the calls stand that went while the policy was off."""
        self.unmasked_records: set[bytes] = set()

    async def rules(self, groups: dict[str, str], **kinds: str) -> None:
        """Set the company's policy."""
        version = (await self.client.http.get(POLICY)).json()["version"]
        answer = await self.client.http.put(POLICY, json={"version": version, "groups": groups, "kinds": kinds})
        assert answer.status_code == 200, answer.text

    async def terms(self) -> None:
        """Make the canaries' own words the company's."""
        version = (await self.client.http.get(POLICY)).json()["terms_version"]
        body = {"version": version, "terms": [plant.term for plant in self.plants.values()], "allowed": []}
        answer = await self.client.http.put(f"{POLICY}/terms", json=body)
        assert answer.status_code == 200, answer.text

    async def walk(self) -> None:
        """Take every path, once."""
        texts = {path: plant.text for path, plant in self.plants.items()}
        await self.terms()
        await self._switched_on(texts["policy switched on"])
        await self.rules(EVERYTHING)
        await self.client.ask(texts["whole"])
        await self.client.stream(texts["stream"])
        await self._retried(texts["retry"])
        conversation = (await self.client.ask(texts["history"]))["conversation_id"]
        await self.client.ask("Напиши ещё раз", conversation_id=conversation)
        await self._stopped(texts["stop"])
        await self._by_all_workers(texts["second worker"])
        conversation = (await self.client.ask("Здравствуйте"))["conversation_id"]
        title = texts["edited title"][:60]
        await self.client.http.patch(f"/v1/conversations/{conversation}", json={"title": title})
        await self.client.ask(texts["edited title"], conversation_id=conversation)
        preview = await self.client.http.post("/v1/masking/preview", json={"text": texts["preview"]})
        assert preview.status_code == 200, preview.text
        await self._completions(texts)
        await self._responses(texts["responses"])
        await self._refused(texts)
        await self._restarted(texts["restart"])

    async def _switched_on(self, text: str) -> None:
        """The policy is off for the first message, which crosses as it is, and on for the second."""
        await self.rules(NOTHING)
        calls = {"OpenAI": self.stack.upstream_calls, "border": self.stack.signed_calls}
        before = {name: len(seen) for name, seen in calls.items()}
        conversation = (await self.client.ask(text))["conversation_id"]
        self.unmasked = {name: slice(before[name], len(seen)) for name, seen in calls.items()}
        self.unmasked_records = set(await self.stack.valkeys["gateway"].contents())
        await self.rules(EVERYTHING)
        await self.client.ask("Дальше", conversation_id=conversation)

    async def _retried(self, text: str) -> None:
        body = self.client.message(f"{text}\n[[simulate: status=500; fail_times=4; key=canary]]")
        failed = 0
        while (answer := await self.client.http.post("/v1/chat", json=body)).status_code != 200:
            failed += 1
            self.errors.append(answer.content)
            assert failed < 6, answer.text
        assert failed, "the first attempt was to fail"

    async def _stopped(self, text: str) -> None:
        slow = f"{text}\n[[simulate: tokens=400; tps=20]]"
        async with self.client.streaming(slow) as events:
            start, _ = await anext(events), await anext(events)
            answer_id = start.data["assistant_message_id"]
            stopped = await self.client.http.post(f"/v1/chat/{answer_id}/stop")
        assert stopped.json()["status"] == "stopped", stopped.text
        await self.client.ask("Дальше", conversation_id=stopped.json()["conversation_id"])

    async def _by_all_workers(self, text: str) -> None:
        """Begin an answer, follow it by many connections, and go on by others: some of them meet the other worker."""
        slow = f"{text}\n[[simulate: tokens=40; tps=40]]"
        async with self.client.streaming(slow) as events:
            start = await anext(events)
            path = f"/v1/chat/{start.data['assistant_message_id']}/events"
            followed = await asyncio.gather(*[self._alone("GET", path) for _ in range(CONNECTIONS)])
            assert all(answer.status_code == 200 for answer in followed)
            assert all(b"event: final" in answer.content for answer in followed)
        conversation = start.data["conversation_id"]
        for _ in range(CONNECTIONS // 2):
            body = self.client.message("Дальше", conversation_id=conversation)
            assert (await self._alone("POST", "/v1/chat", json=body)).status_code == 200

    async def _alone(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.client.http.headers
        async with httpx.AsyncClient(base_url=self.client.http.base_url, headers=headers, timeout=30) as http:
            return await http.request(method, path, **options)

    async def _completions(self, texts: dict[str, str]) -> None:
        """Call as OpenAI's clients do: a plain question, and one with a tool's call and its result."""
        for stream in (False, True):
            messages: list[dict[str, Any]] = [{"role": "user", "content": texts["completions"]}]
            await self._complete(messages, stream=stream)
            text = texts["tools"]
            arguments = json.dumps({"lines": text.split("\n")})
            call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": arguments}}
            messages = [
                {"role": "system", "content": text},
                {"role": "user", "content": [{"type": "text", "text": text}]},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": text},
            ]
            await self._complete(messages, stream=stream, tools=[TOOL])

    async def _complete(self, messages: list[dict[str, Any]], **options: Any) -> None:
        models = (await self.client.http.get("/v1/models")).json()
        body = {"model": models["data"][0]["id"], "messages": messages, **options}
        answer = await self.client.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text

    async def _responses(self, text: str) -> None:
        """The same by OpenAI's newer API."""
        models = (await self.client.http.get("/v1/models")).json()
        call = {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": json.dumps({"line": text})}
        items = [
            {"role": "user", "content": text},
            call,
            {"type": "function_call_output", "call_id": "call_1", "output": text},
        ]
        tools = [{**TOOL["function"], "type": "function", "description": text}]
        for stream in (False, True):
            body = {"model": models["data"][0]["id"], "instructions": text, "input": items, "tools": tools}
            answer = await self.client.http.post("/v1/responses", json={**body, "stream": stream})
            assert answer.status_code == 200, answer.text

    async def _refused(self, texts: dict[str, str]) -> None:
        models = (await self.client.http.get("/v1/models")).json()
        content = [{"type": "text", "text": texts["images"]}, IMAGE]
        body = {"model": models["data"][0]["id"], "messages": [{"role": "user", "content": content}]}
        answer = await self.client.http.post("/v1/chat/completions", json=body)
        assert "unmaskable_content" in answer.text
        self.errors.append(answer.content)
        await self.rules(EVERYTHING, EMAIL="block", CARD="block")
        blocked = await self.client.send(texts["blocked"])
        assert error_of(blocked) == (422, "personal_data_blocked")
        self.errors.append(blocked.content)
        await self.rules(EVERYTHING)
        body = self.client.message(texts["blocked"])
        assert (await self.client.http.post("/v1/chat", json=body)).status_code == 200
        other = await self.client.http.post("/v1/chat", json={**body, "text": texts["blocked"] + "!"})
        assert error_of(other) == (409, "idempotency_conflict")
        self.errors.append(other.content)

    async def _restarted(self, text: str) -> None:
        """Ask, restart both apps, and go on: the new processes send the history by what is stored."""
        body = self.client.message(text)
        answer = (await self.client.http.post("/v1/chat", json=body)).json()
        await self.stack.restart()
        again = (await self.client.http.post("/v1/chat", json=body)).json()
        assert again["assistant_message_id"] == answer["assistant_message_id"]
        await self.client.ask("Дальше", conversation_id=answer["conversation_id"])


async def gather(folder: Path) -> Evidence:
    async with WatchedStack(folder, Secrets(MARK), workers=2).running() as stack:
        async with open_world(stack.postgres.url(DATABASE)) as world:
            person = await world.person(role="admin", balance="100000")
        async with client_of(stack.url, person) as client:
            walk = Walk(stack, client)
            await walk.walk()
        calls = {
            name: [strings_of(call.body) for call in seen]
            for name, seen in (("OpenAI", stack.upstream_calls), ("border", stack.signed_calls))
        }
        unmasked = b"\n".join(calls["OpenAI"][walk.unmasked["OpenAI"]])
        for name, seen in calls.items():
            del seen[walk.unmasked[name]]
        metrics = await stack.metrics()
        records = await stack.valkeys["gateway"].contents()
        leak = walk.plants["whole"].text
        await stack.valkeys["gateway"].tell("SET", "planted", leak)
        for process in (stack.product, stack.gateway):
            process.write_on_stderr(leak.encode())
        planted = {
            "gateway's records": b"\n".join(await stack.valkeys["gateway"].contents()),
            "product stderr": stack.product.files["stderr"].read_bytes(),
            "gateway stderr": stack.gateway.files["stderr"].read_bytes(),
        }
        written = {
            f"{name} {stream}": path.read_bytes().replace(leak.encode(), b"")
            for name, process in (("product", stack.product), ("gateway", stack.gateway))
            for stream, path in process.files.items()
        }
        channels = {
            **{name: b"\n".join(seen) for name, seen in calls.items()},
            **written,
            "product metrics": metrics["product"].encode(),
            "gateway metrics": metrics["gateway"].encode(),
            "traces": stack.collector.written,
            "audit": stack.sql("SELECT row_to_json(audit_log) FROM audit_log").encode(),
            "error bodies": b"\n".join(map(strings_of, walk.errors)),
            "gateway's records": b"\n".join(set(records) - walk.unmasked_records),
            "gateway's Valkey log": stack.valkeys["gateway"].log.read_bytes(),
        }
    return Evidence(walk.plants, channels, unmasked, planted)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(gather(tmp_path_factory.mktemp("masked")))


def test_every_kind_goes_by_every_path_and_every_channel_is_read(evidence: Evidence) -> None:
    assert set(SENTENCES) == set(Kind) - {Kind.TEXT}
    assert tuple(evidence.plants) == PATHS
    values = [value for plant in evidence.plants.values() for value in plant.values.values()]
    assert len(values) == len(set(values)) == len(PATHS) * len(SENTENCES)
    assert tuple(evidence.channels) == CHANNELS
    assert [name for name, written in evidence.channels.items() if not written and "stderr" not in name] == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_value_of_any_kind_is_found(evidence: Evidence, channel: str) -> None:
    assert found_in(evidence.channels[channel], list(evidence.plants.values())) == []


def test_what_crossed_unmasked_is_found_by_the_same_search(evidence: Evidence) -> None:
    plant = evidence.plants["policy switched on"]
    assert found_in(evidence.unmasked, [plant]) == [(plant.path, kind.value) for kind in SENTENCES]


@pytest.mark.parametrize("channel", ["gateway's records", "product stderr", "gateway stderr"])
def test_a_planted_leak_is_found(evidence: Evidence, channel: str) -> None:
    plant = evidence.plants["whole"]
    assert found_in(evidence.planted[channel], [plant]) == [(plant.path, kind.value) for kind in SENTENCES]


def test_every_path_has_reached_openai_masked(evidence: Evidence) -> None:
    """Unless it is refused, its sentences are there without their values."""
    assert evidence.channels["OpenAI"].decode().count("[PERSON_1]") > len(PATHS)
