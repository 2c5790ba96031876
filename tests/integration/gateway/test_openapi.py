"""The OpenAPI document, and the gateway held against it by schemathesis, with every check on."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import requests
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation

from b2b_chat.contract.errors import FAILURES
from b2b_chat.contract.schemas import ChatRequest
from b2b_chat.contract.signing import sign
from b2b_chat.gateway.app import openapi_schema
from support.api_documents import for_schemathesis, misshaped, undescribed
from support.gateway.app import SECRET, gateway, gateway_settings
from support.openai.simulated import simulated_openai


class SignedRequests(requests.auth.AuthBase):
    """Signs what `requests` is about to send."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        assert isinstance(body, bytes)
        assert request.method is not None
        headers = sign(SECRET.encode(), request.method, request.path_url, body, unix_seconds=int(time.time()))
        request.headers.update(headers)
        return request


class Signing:
    """Signs every case but those that are about these very headers."""

    def get(self, _case: Any, _context: Any) -> SignedRequests:
        return SignedRequests()

    def set(self, case: Any, signature: SignedRequests, _context: Any) -> None:
        if case.meta is None or not case.meta.is_negative_at(ParameterLocation.HEADER):
            case._auth = signature


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    async with (
        simulated_openai() as openai,
        gateway(gateway_settings(openai_base_url=f"{openai.url}/v1")) as client,
    ):
        yield client.url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway that runs in a thread of its own, since schemathesis does not await."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served()) as url:
        yield url


schema = schemathesis.openapi.from_dict(for_schemathesis(openapi_schema()))
schema.auth()(Signing)


def is_beyond_schemas(body: Any) -> bool:
    """Whether JSON Schema cannot say what is wrong: 5.0 for 5, and fields of one role in messages of another."""
    try:
        msgspec.convert(body, ChatRequest)
    except msgspec.ValidationError as error:
        return any(words in str(error) for words in BEYOND_SCHEMAS)
    return False


BEYOND_SCHEMAS = ("`tool_call_id`", "`tool_calls`", "`content`", "role `user`", "Expected `int`, got `float`")


def one_of_its_own(body: Any) -> Any:
    """Make every well-formed message one of its own: the same id with other content is refused, and rightly."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if isinstance(metadata, dict) and _is_uuid(metadata.get("message_id")):
        return {**body, "metadata": {**metadata, "message_id": str(uuid4())}}
    return body


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None


@schema.parametrize()
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_the_gateway_does_what_its_document_says(case: Any, url: str) -> None:
    case.body = one_of_its_own(case.body)
    response = case.call(base_url=url)
    if is_beyond_schemas(case.body):
        assert response.status_code in {400, 401}
    elif b'"upstream_rejected"' not in response.content:  # which options a model takes together is for OpenAI to say
        case.validate_response(response)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_schema()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


def test_every_operation_is_there_and_nothing_else(document: dict[str, Any]) -> None:
    assert set(operations(document)) == {"getHealth", "getReadiness", "ping", "createChat"}


def test_all_but_health_and_readiness_are_signed_with_three_headers(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {scheme["name"] for scheme in schemes.values()} == {"X-Timestamp", "X-Nonce", "X-Signature"}
    assert {(scheme["type"], scheme["in"]) for scheme in schemes.values()} == {("apiKey", "header")}
    assert document["security"] == [{"timestamp": [], "nonce": [], "signature": []}]
    signed = {name: operation.get("security") for name, operation in operations(document).items()}
    assert signed == {"getHealth": [{}], "getReadiness": [{}], "ping": None, "createChat": None}


def test_a_chat_is_answered_in_two_ways(document: dict[str, Any]) -> None:
    content = operations(document)["createChat"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    assert "event: final" in content["text/event-stream"]["examples"]["stream"]["value"]


def test_every_failure_of_a_chat_is_documented_with_an_example(document: dict[str, Any]) -> None:
    responses = operations(document)["createChat"]["responses"]
    told = {
        code: (int(status), example["value"])
        for status, response in responses.items()
        if status != "200"
        for code, example in response["content"]["application/json"]["examples"].items()
    }
    assert set(FAILURES) - set(told) == {"not_found", "method_not_allowed", "not_ready"}
    for code, (status, value) in told.items():
        assert status == FAILURES[code].status
        assert value["error"]["code"] == code


def test_no_error_is_of_another_shape(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            if status != "200":
                assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


def test_what_is_given_by_us_is_not_asked_of_the_caller(document: dict[str, Any]) -> None:
    assert all("parameters" not in operation for operation in operations(document).values())


def test_everything_is_described_in_a_form_that_generators_read(document: dict[str, Any]) -> None:
    assert undescribed(document) == []
    assert misshaped(document) == []
