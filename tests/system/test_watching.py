"""What an operator sees of two processes: metrics, traces and readiness; and that dashboard and alerts fit them."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families

from b2b_chat.gateway.log_ids import hashed_by
from support.canaries.commands import Commands
from support.canaries.stack import Secrets, WatchedStack
from support.canaries.values import Canaries
from support.http.serving import free_port
from support.processes.programs import needed_tool
from support.processes.waiting import until
from support.telemetry.collector import SeenSpan

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
CLIENTS_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENTS_SPAN: Final = "00f067aa0ba902b7"
QUESTION: Final = "canary7c1e-question"
_OURS: Final = re.compile(r"\b(?:b2b_chat|product|gateway|process|python)_[a-z0-9_]+")
_LABELS: Final = re.compile(r"\{[^}]*\}|\b(?:by|without)\s*\([^)]*\)")


class Watched:
    """The stack, and a client with a key."""

    def __init__(self, stack: WatchedStack, http: httpx.AsyncClient) -> None:
        self.stack = stack
        self.http = http

    async def samples(self) -> dict[str, dict[str, float]]:
        """Every sample of each app: its name with its labels, and its value."""
        shown = await self.stack.metrics()
        return {
            app: {
                f"{sample.name}{json.dumps(sample.labels, sort_keys=True)}": sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            for app, text in shown.items()
        }

    async def ready(self) -> tuple[int, Any]:
        answer = await self.http.get("/ready")
        body = answer.json()
        detail = body.get("detail", body)
        detail.pop("request_id", None)
        return answer.status_code, detail


@pytest_asyncio.fixture(scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    async with WatchedStack(folder, Secrets("canary7c1e")).running() as stack:
        await asyncio.to_thread(Commands(stack).set_up)
        key = await asyncio.to_thread(make_key, stack)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as http:
            yield Watched(stack, http)


def make_key(stack: WatchedStack) -> str:
    """A key of the only owner there is."""
    from b2b_chat.product.identity.key_form import SHOWN_CHARACTERS, hash_api_key, new_api_key  # noqa: PLC0415

    key = new_api_key()
    stack.sql(
        "INSERT INTO api_keys (id, company_id, user_id, name, prefix, key_hash, scopes) "  # noqa: S608 - our own
        f"SELECT gen_random_uuid(), company_id, user_id, 'test', '{key[:SHOWN_CHARACTERS]}', "
        f"'\\x{hash_api_key(key).hex()}', ARRAY['chat', 'read'] FROM memberships"
    )
    return key


async def chat(watched: Watched, name: str, *, stream: bool, **headers: str) -> None:
    body = {"client_message_id": name, "text": QUESTION, "stream": stream}
    answer = await watched.http.post("/v1/chat", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert not stream or "event: final" in answer.text


async def test_what_happened_is_counted(watched: Watched) -> None:
    await chat(watched, "counted", stream=True)
    await watched.http.get("/v1/chat/none", headers={"X-Request-ID": "mine"})
    await watched.http.request("PURGE", "/v1/chat")
    await watched.http.get(f"{watched.stack.gateway_url}/internal/ping")
    samples = await watched.samples()
    product, gateway = samples["product"], samples["gateway"]
    assert product['product_answers_total{"code": "", "status": "completed"}'] == 1
    assert product["product_first_delta_seconds_count{}"] == 1
    assert product["product_charged_credits_total{}"] > 0
    assert product["product_runs{}"] == product["b2b_chat_open_streams{}"] == product["b2b_chat_draining{}"] == 0
    chats = '{"method": "POST", "route": "/v1/chat", "status": "200"}'
    assert product[f"b2b_chat_requests_total{chats}"] == gateway[f"b2b_chat_requests_total{chats}"] == 1
    assert [value for name, value in product.items() if "requests_total" in name and '"other"' in name] == [1]
    assert product['b2b_chat_database_connections_max{"pool": "chat"}'] == 16
    assert gateway['gateway_upstream_attempts_total{"code": "ok", "upstream": "primary"}'] == 1
    assert gateway['gateway_refusals_total{"code": "missing_signature"}'] == 1
    assert gateway['gateway_answers_total{"code": "", "outcome": "answered"}'] == 1
    assert gateway["gateway_first_text_seconds_count{}"] == 1
    for shown in (product, gateway):
        assert shown["b2b_chat_valkey_seconds_count{}"] > 0
        assert shown["b2b_chat_valkey_failures_total{}"] == shown["b2b_chat_valkey_away{}"] == 0
    assert product["product_relay_down{}"] == product["product_relay_mirrors{}"] == 0
    for kind in ("prompt", "completion"):
        counted = f'_tokens_total{{"kind": "{kind}"}}'
        assert product[f"product{counted}"] == gateway[f"gateway{counted}"] > 0


async def test_the_work_beside_the_requests_is_seen(watched: Watched) -> None:
    async def seen() -> bool:
        product = (await watched.samples())["product"]
        return product["b2b_chat_event_loop_lag_seconds_count{}"] > 0 and (
            product["product_sweeper_last_run_timestamp_seconds{}"] > 0
        )

    await until(seen, timeout_seconds=30)


async def test_one_trace_leads_from_the_client_to_openai(watched: Watched) -> None:
    watched.stack.upstream_calls.clear()
    await chat(watched, "traced", stream=True, traceparent=f"00-{CLIENTS_TRACE}-{CLIENTS_SPAN}-01")

    async def complete() -> bool:
        return len(trace()) == 4

    def trace() -> list[SeenSpan]:
        return [span for span in watched.stack.collector.spans if span.trace_id == CLIENTS_TRACE]

    await until(complete, timeout_seconds=30)
    spans = {(span.service, span.kind): span for span in trace()}
    asked, calling = spans["product_api", "SPAN_KIND_SERVER"], spans["product_api", "SPAN_KIND_CLIENT"]
    called, upstream = spans["gateway_api", "SPAN_KIND_SERVER"], spans["gateway_api", "SPAN_KIND_CLIENT"]
    assert [span.parent_id for span in (asked, calling, called, upstream)] == [
        CLIENTS_SPAN,
        asked.id,
        calling.id,
        called.id,
    ]
    assert [span.name for span in (asked, calling, called, upstream)] == ["POST /v1/chat"] * 3 + ["chat gpt-5.2"]
    assert asked.attributes["http.response.status_code"] == 200
    assert asked.attributes["b2b_chat.request_id"] == called.attributes["b2b_chat.request_id"]
    hashed = hashed_by(watched.stack.secrets.shared)
    told = {name: value for name, value in upstream.attributes.items() if name.startswith("gen_ai.")}
    assert told.pop("gen_ai.usage.input_tokens") > 0
    assert told.pop("gen_ai.usage.output_tokens") > 0
    assert told.pop("gen_ai.conversation.id") == hashed(UUID(calling.attributes["b2b_chat.conversation_id"]))
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-5.2",
        "gen_ai.request.max_tokens": 4096,
    }
    (call,) = watched.stack.upstream_calls
    assert call.header(b"traceparent").decode() == f"00-{CLIENTS_TRACE}-{upstream.id}-01"
    assert call.header(b"x-client-request-id").decode() == asked.attributes["b2b_chat.request_id"]
    question = Canaries()
    question.add("message", QUESTION)
    assert question.hits(watched.stack.collector.written) == []


async def test_a_failed_call_is_counted_by_its_code(watched: Watched) -> None:
    body = {"client_message_id": "failing", "text": "[[simulate: error=invalid_api_key]] " + QUESTION}
    trace_id = CLIENTS_TRACE[::-1]
    parent = {"traceparent": f"00-{trace_id}-{CLIENTS_SPAN}-01"}
    assert (await watched.http.post("/v1/chat", json=body, headers=parent)).status_code == 503

    def failed() -> dict[tuple[str, str], Any]:
        return {
            (span.service, span.kind): span.attributes["error.type"]
            for span in watched.stack.collector.spans
            if span.trace_id == trace_id and span.is_failed
        }

    async def complete() -> bool:
        return len(failed()) == 4

    await until(complete, timeout_seconds=30)
    assert failed() == {
        ("product_api", "SPAN_KIND_SERVER"): "503",
        ("product_api", "SPAN_KIND_CLIENT"): "model_unavailable",
        ("gateway_api", "SPAN_KIND_SERVER"): "502",
        ("gateway_api", "SPAN_KIND_CLIENT"): "upstream_authentication",
    }
    assert not [span for span in watched.stack.collector.spans if span.events]


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression that we ship, and where it stands."""
    for panel in json.loads((DEPLOY / "grafana/b2b-chat.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def test_every_metric_that_is_watched_exists(watched: Watched) -> None:
    shown = await watched.stack.metrics()
    exported = set()
    for text in shown.values():
        for family in text_string_to_metric_families(text):
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
            exported |= {family.name + suffix for suffix in suffixes}
    named = {name for _, expression in expressions() for name in _OURS.findall(_LABELS.sub("", expression))}
    assert len(named) > 25
    assert named - exported == set()
    ours = {name for name in exported if name.startswith(("b2b_chat_", "product_", "gateway_"))}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}
    assert families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} == set(), "nobody looks at these"


def test_every_alert_has_its_page_in_the_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", (DEPLOY / "prometheus/runbook.md").read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"deploy/prometheus/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_prometheus_itself_understands_all_expressions(tmp_path: Path) -> None:
    promtool = needed_tool("promtool", package="prometheus")
    recorded = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(expressions())
    ]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    for kind, file in (
        ("rules", panels),
        ("rules", DEPLOY / "prometheus/alerts.yml"),
        ("config", DEPLOY / "prometheus/prometheus.yml"),
    ):
        done = subprocess.run([promtool, "check", kind, file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as written:
        return subprocess.Popen(command, stdout=written, stderr=written)


@asynccontextmanager
async def prometheus(folder: Path, metrics_ports: dict[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    """A real Prometheus with the configuration that we ship, but for the places of the two apps."""
    program = needed_tool("prometheus", package="prometheus")
    shutil.copytree(DEPLOY / "prometheus", folder)
    for app, port in metrics_ports.items():
        targets = folder / f"targets/{app}_api.yml"
        text, changed = re.subn(rf'"{app}_api:\d+"', f'"127.0.0.1:{port}"', targets.read_text())
        assert changed == 1
        targets.write_text(text)
    config = folder / "prometheus.yml"
    text, changed = re.subn(r"_interval: 15s", "_interval: 1s", config.read_text())
    assert changed == 2
    config.write_text(text)
    url = f"http://127.0.0.1:{free_port()}"
    options = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={url.removeprefix('http://')}"]
    process = spawn([program, f"--config.file={config}", *options], folder / "log")
    try:
        async with httpx.AsyncClient(base_url=url) as http:

            async def answers() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    return (await http.get("/-/ready")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, timeout_seconds=60)
            yield http
    finally:
        process.terminate()
        process.wait()


async def test_prometheus_scrapes_both_apps_and_evaluates_every_rule_and_panel(
    watched: Watched, tmp_path: Path
) -> None:
    async with prometheus(tmp_path / "prometheus", watched.stack.metrics_ports) as http:

        async def ask(path: str, **query: str) -> Any:
            answer = await http.get(f"/api/v1/{path}", params=query)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        async def both_are_up() -> bool:
            found = (await ask("query", query="up == 1"))["result"]
            return {each["metric"]["job"] for each in found} == {"product_api", "gateway_api"}

        async def evaluated() -> bool:
            groups = (await ask("rules"))["groups"]
            health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
            assert set(health) == {rule["alert"] for rule in rules()}
            return set(health.values()) == {"ok"}

        await until(both_are_up, timeout_seconds=60)
        await until(evaluated, timeout_seconds=60)
        for title, expression in expressions():
            told = await ask("query", query=expression.replace("$__rate_interval", "5m"))
            assert told["resultType"] == "vector", title


async def test_ready_names_what_is_missing_and_nothing_else(watched: Watched) -> None:
    """Last, since it takes the parts away one after the other."""

    def not_ready(*parts: str) -> tuple[int, Any]:
        return 503, {"code": "not_ready", "message": f"Not ready: {', '.join(parts)}.", "retryable": True}

    stack = watched.stack
    assert await watched.ready() == (200, {"status": "ready"})
    assert (await watched.http.get(f"{stack.gateway_url}/ready")).json() == {"status": "ready"}
    for app, url, parts in (
        ("product", stack.url, ["valkey"]),
        ("gateway", stack.gateway_url, ["valkey"]),
        ("gateway", stack.url, ["gateway"]),
    ):
        await stack.valkeys[app].stop()
        answer = await watched.http.get(f"{url}/ready")
        assert answer.status_code == 503
        assert f"Not ready: {', '.join(parts)}." in answer.text
        away = [value for name, value in (await watched.samples())[app].items() if "valkey_away" in name]
        assert away == [1]
        await stack.valkeys[app].start()
        await until(stack.is_ready, timeout_seconds=30)
    stack.sql("UPDATE alembic_version SET version_num = 'earlier'")
    assert await watched.ready() == not_ready("migrations")
    await asyncio.to_thread(stack.postgres.stop)
    assert await watched.ready() == not_ready("database")
    await stack.gateway.stop()
    assert await watched.ready() == not_ready("database", "gateway")
    head = await watched.http.head("/ready")
    assert (head.status_code, head.content, head.headers["retry-after"]) == (503, b"", "1")
    assert (await watched.http.get("/health")).status_code == 200
