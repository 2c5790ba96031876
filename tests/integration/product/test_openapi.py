"""The OpenAPI document, and product_api held against it by schemathesis, with every check on."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings

from b2b_chat.kit.text import known_patterns, portable
from b2b_chat.product.app import create_litestar
from b2b_chat.product.configuration import load_settings
from support.api_documents import for_schemathesis
from support.database.world import open_world
from support.gateway.fake import fake_gateway
from support.product.app import client_of, environ, served_product
from support.product.sessions import add_operator

OURS = {"health", "chat", "conversations", "credits"}
"""Tags of the operations that a user's API key is for."""

document = create_litestar(
    load_settings(environ("postgresql://localhost/none", "http://127.0.0.1:1"))
).openapi_schema.to_schema()
programs = schemathesis.openapi.from_dict(for_schemathesis(document))
people = schemathesis.openapi.from_dict(for_schemathesis(document))
people.config.phases.coverage.enabled = False  # takes a second an operation, and there are forty


class ApiKey:
    """Authorises every call as a person with an API key."""

    key = ""

    def get(self, _case: Any, _context: Any) -> str:
        return self.key

    def set(self, case: Any, key: str, _context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {key}"


programs.auth()(ApiKey)
people.auth()(ApiKey)


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[tuple[str, str]]:
    async with (
        open_world(database_url) as world,
        fake_gateway() as gateway,
        served_product(database_url, gateway.url) as url,
    ):
        person = await world.person(balance="1000000")
        yield url, person.api_key


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """A product_api that runs in a thread of its own, since schemathesis does not await."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served(database_url)) as (url, ApiKey.key),
    ):
        yield url


@programs.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out what is taken for nothing given: the text `null` in a query, an empty `Last-Event-ID`.

    And a header that schemathesis 4.32 tries for any text, whatever the pattern says.
    """
    headers, query = dict(case.headers or {}), dict(case.query or {})
    return "0" not in headers.values() and "null" not in query.values() and headers.get("Last-Event-ID") != ""


def holds(case: Any, url: str) -> None:
    case.call_and_validate(base_url=url)


# Derandomized: every run tries the same requests, so a failure is found again.
often = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
seldom = settings(often, max_examples=3)


# /ready is right to answer 503 here, where there is no whole gateway.
@programs.include(tag=list(OURS)).exclude(path="/ready").parametrize()
@often
def test_what_programs_call_is_as_documented(case: Any, url: str) -> None:
    holds(case, url)


# A call of OpenAI's clients is described as OpenAI does, which says less than is checked: `completions` tests that.
@people.exclude(tag=list(OURS)).exclude(tag="openai", method="POST").parametrize()
@seldom
def test_what_people_call_is_as_documented(case: Any, url: str) -> None:
    holds(case, url)


def operations() -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }


def test_every_operation_has_a_name_of_its_own_and_a_summary() -> None:
    count = sum(method != "parameters" for path in document["paths"].values() for method in path)
    assert len(operations()) == count
    assert all(operation["summary"] and operation["description"] for operation in operations().values())


def test_all_but_health_and_readiness_need_a_key() -> None:
    schemes = document["components"]["securitySchemes"]
    assert (schemes["ApiKey"]["type"], schemes["ApiKey"]["scheme"]) == ("http", "bearer")
    assert {"ApiKey": []} in document["security"]
    ours = {name: each.get("security") for name, each in operations().items() if OURS & set(each["tags"])}
    assert ours.pop("getHealth") == ours.pop("getReadiness") == [{}]
    assert set(ours) >= {"sendMessage", "listConversations", "listMessages", "getBalance", "listLedger"}
    assert set(map(str, ours.values())) == {"None"}


def test_every_failure_is_of_one_shape_with_an_example_of_each_code() -> None:
    for name, operation in operations().items():
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            (content,) = response["content"].values()
            body, inner = ("OpenAIErrorBody", "error") if "openai" in operation["tags"] else ("ErrorBody", "detail")
            assert content["schema"] == {"$ref": f"#/components/schemas/{body}"}, name
            assert content["examples"], (name, status)
            for code, example in content["examples"].items():
                assert example["value"][inner]["code"] == code
                assert example["value"][inner]["message"]


def test_every_failure_of_a_message_is_documented() -> None:
    told = {
        (int(status), code)
        for status, response in operations()["sendMessage"]["responses"].items()
        if int(status) >= 400
        for code in response["content"]["application/json"]["examples"]
    }
    assert told >= {
        (400, "invalid_request"),
        (401, "unauthenticated"),
        (402, "insufficient_credits"),
        (403, "scope_missing"),
        (404, "conversation_not_found"),
        (409, "conversation_busy"),
        (409, "idempotency_conflict"),
        (409, "message_in_progress"),
        (413, "body_too_large"),
        (415, "unsupported_media_type"),
        (422, "content_filtered"),
        (422, "context_length_exceeded"),
        (422, "empty_text"),
        (422, "text_too_long"),
        (500, "internal_error"),
        (502, "answer_cut"),
        (502, "gateway_refused"),
        (503, "database_unavailable"),
        (503, "gateway_unavailable"),
        (503, "interrupted"),
        (504, "gateway_timeout"),
    }


def test_an_answer_comes_in_two_ways() -> None:
    content = operations()["sendMessage"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    example = content["text/event-stream"]["examples"]["stream"]["value"]
    retry, *blocks = example.strip().split("\n\n")
    assert retry.startswith("retry: ")
    events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    assert [event["event"] for event in events] == ["start", "delta", "delta", "final"]
    assert set(json.loads(events[-1]["data"])) == {"status", "text", "usage", "charge_credits", "balance_credits"}
    followed = operations()["followAnswer"]["responses"]
    assert set(followed["200"]["content"]) == {"text/event-stream"}
    assert "content" not in followed["204"]
    assert "content" not in operations()["sendMessage"]["responses"]["204"]
    names = {"start", "delta", "restart", "final", "error"}
    assert set(document["components"]["schemas"]["ChatStreamEvent"]["discriminator"]["mapping"]) == names


def test_whether_a_stream_is_asked_for_may_be_left_to_the_header() -> None:
    stream = document["components"]["schemas"]["ChatSend"]["properties"]["stream"]
    assert stream["type"] == "boolean"
    assert "default" not in stream


def test_a_stream_can_be_resumed_by_both_operations() -> None:
    for name in ("sendMessage", "followAnswer"):
        (header,) = [each for each in operations()[name]["parameters"] if each["name"] == "Last-Event-ID"]
        assert (header["in"], header.get("required", False)) == ("header", False)
        assert re.fullmatch(header["schema"]["pattern"], "2-120")


def test_objects_that_take_no_other_fields_say_so() -> None:
    assert document["components"]["schemas"]["ChatSend"]["additionalProperties"] is False
    assert "additionalProperties" not in document["components"]["schemas"]["ChatAnswer"]


def patterns_of(part: Any) -> set[str]:
    """All patterns in a part of the document."""
    if isinstance(part, list):
        return {pattern for each in part for pattern in patterns_of(each)}
    if not isinstance(part, dict):
        return set()
    own = {part["pattern"]} if isinstance(part.get("pattern"), str) else set()
    return own | {pattern for each in part.values() for pattern in patterns_of(each)}


def test_names_are_plain() -> None:
    names = list(document["components"]["schemas"])
    assert "ConversationPage" in names
    assert [name for name in names if not name.isalnum()] == []


def test_patterns_are_understood_outside_of_python() -> None:
    patterns = patterns_of(document)
    assert len(patterns) > 10
    assert [pattern for pattern in patterns if "\\Z" in pattern or "(?P" in pattern] == []


def test_every_pattern_has_words_for_people() -> None:
    known = {portable(pattern) for pattern in known_patterns()}
    assert patterns_of(document) - known == set()


async def test_the_document_is_served(database_url: str) -> None:
    async with served_product(database_url, "http://127.0.0.1:1") as url, client_of(url, None) as client:
        served = (await client.http.get("/openapi/openapi.json")).json()
    assert served["paths"].keys() == document["paths"].keys()


async def test_in_production_it_is_shown_to_operators_alone(owner_url: str, database_url: str) -> None:
    async with (
        open_world(owner_url) as world,
        served_product(database_url, "http://127.0.0.1:1", app_env="prod") as url,
    ):
        _, operator_key = await add_operator(world)
        keys = {401: None, 403: (await world.person(role="owner")).api_key, 200: operator_key}
        async with httpx.AsyncClient(base_url=url) as http:
            for path in ("/openapi/openapi.json", "/openapi"):
                for status, key in keys.items():
                    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
                    assert (await http.get(path, headers=headers)).status_code == status, path


async def test_on_a_laptop_the_app_answers_to_its_own_names_alone(database_url: str) -> None:
    """Or a page of a stranger's site reads it by DNS rebinding."""
    settings = {"app_env": "dev", "public_url": "http://chat.test"}
    async with (
        served_product(database_url, "http://127.0.0.1:1", **settings) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        for host, status in (("evil.test", 421), ("chat.test", 200), ("localhost:8000", 200)):
            answer = await http.get("/health", headers={"Host": host})
            assert answer.status_code == status, host
            assert answer.headers["x-request-id"]
