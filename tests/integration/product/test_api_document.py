"""The OpenAPI document of product_api describes all that it has, in a form that generators read."""

import copy
import shutil
import subprocess
from typing import Any, get_args

import jsonschema_rs
import pytest

from b2b_chat.product.app import create_litestar
from b2b_chat.product.configuration import load_settings
from b2b_chat.product.refusals import Code
from support.api_documents import misshaped, operations_of, undescribed
from support.product.app import environ


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = environ("postgresql://localhost/none", "http://127.0.0.1:1", PUBLIC_URL="https://chat.example.com")
    document: dict[str, Any] = create_litestar(load_settings(settings)).openapi_schema.to_schema()
    return document


def test_everything_is_described(document: dict[str, Any]) -> None:
    assert undescribed(document) == []


def test_generators_can_read_it(document: dict[str, Any]) -> None:
    assert misshaped(document) == []


def test_what_is_not_described_is_found(document: dict[str, Any]) -> None:
    bare = copy.deepcopy(document)
    del bare["components"]["schemas"]["ChatSend"]["description"]
    del bare["components"]["schemas"]["ChatSend"]["properties"]["client_message_id"]["description"]
    bare["paths"]["/v1/conversations"]["get"]["parameters"][0]["description"] = ""
    bare["tags"][0]["description"] = ""
    assert len(undescribed(bare)) == 4


def test_the_source_says_what_a_field_is(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["ChatSend"]["properties"]
    assert "charged once" in fields["client_message_id"]["description"]
    inherited = document["components"]["schemas"]["MaskingChange"]["properties"]
    assert "images" in inherited["allow_images"]["description"]


def test_it_says_where_it_is_served_by_whom_and_under_which_licence(document: dict[str, Any]) -> None:
    assert document["servers"][0]["url"] == "https://chat.example.com"
    info = document["info"]
    assert "Idempot" in info["description"] or "exactly once" in info["description"]
    assert info["contact"]["url"]
    assert info["license"]["identifier"] == "Apache-2.0"


def test_codes_of_errors_are_one_enumeration(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ErrorDetail"]["properties"]["code"]["$ref"] == "#/components/schemas/ErrorCode"
    assert set(schemas["ErrorCode"]["enum"]) == set(get_args(Code))
    for where, operation in operations_of(document):
        assert operation["x-error-codes"] or where == "GET /health"
    assert "insufficient_credits" in document["paths"]["/v1/chat"]["post"]["x-error-codes"]


def test_languages_and_money_have_types_of_their_own(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"$ref": "#/components/schemas/Language"} in schemas["LinkRequest"]["properties"]["language"]["oneOf"]
    money = [
        part
        for schema in schemas.values()
        for name, part in schema.get("properties", {}).items()
        if name.endswith("_credits")
    ]
    assert len(money) > 10
    assert all("decimal" in str(part) for part in money)


def test_what_waits_says_how_long_and_chats_say_what_is_left(document: dict[str, Any]) -> None:
    answers = document["paths"]["/v1/chat"]["post"]["responses"]
    assert {"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"} <= set(answers["429"]["headers"])
    assert "RateLimit" in answers["200"]["headers"]
    assert set(document["components"]["headers"]) >= {"Retry-After", "RateLimit", "X-Request-ID"}


def test_each_event_of_a_stream_has_a_component(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"ChatStart", "ChatDelta", "ChatRestart", "ChatFinal", "ChatFailed"} <= set(schemas)
    event = schemas["ChatStreamEvent"]
    assert event["discriminator"]["propertyName"] == "event"
    assert set(event["discriminator"]["mapping"]) == {"start", "delta", "restart", "final", "error"}
    for name, reference in event["discriminator"]["mapping"].items():
        assert schemas[reference.rpartition("/")[2]]["properties"]["event"]["const"] == name
    for path, method in (("/v1/chat", "post"), ("/v1/chat/{assistant_message_id}/events", "get")):
        content = document["paths"][path][method]["responses"]["200"]["content"]["text/event-stream"]
        assert content["x-itemSchema"] == {"$ref": "#/components/schemas/ChatStreamEvent"}
    assert schemas["ChatStream"]["type"] == "string"


def test_every_example_of_a_request_is_one(document: dict[str, Any]) -> None:
    for where, operation in operations_of(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = {**content["schema"], "components": document["components"]}
            for example in content["examples"].values():
                errors = [str(error.message) for error in jsonschema_rs.iter_errors(schema, example["value"])]
                assert errors == [], (where, example["value"], "give the field an example in api_words.py")


def test_every_operation_has_samples_that_are_code(document: dict[str, Any]) -> None:
    scripts = []
    for where, operation in operations_of(document):
        samples = {sample["lang"]: sample["source"] for sample in operation["x-codeSamples"]}
        assert set(samples) == {"Shell", "Python", "JavaScript"}, where
        compile(samples["Python"], where, "exec")
        subprocess.run(["bash", "-n"], input=samples["Shell"], text=True, check=True, timeout=10)
        scripts.append(f"async () => {{\n{samples['JavaScript']}\n}}")
    if shutil.which("node"):
        script = f"[{','.join(scripts)}]"
        subprocess.run(["node", "--check", "--input-type=module", "-"], input=script, text=True, check=True, timeout=30)


@pytest.mark.parametrize("operation_id", ["sendMessage"])
def test_the_python_sample_is_whole(document: dict[str, Any], operation_id: str) -> None:
    (operation,) = [each for _, each in operations_of(document) if each["operationId"] == operation_id]
    (sample,) = [each["source"] for each in operation["x-codeSamples"] if each["lang"] == "Python"]
    assert 'os.environ["B2B_CHAT_API_KEY"]' in sample or "os.environ['B2B_CHAT_API_KEY']" in sample
    assert "https://chat.example.com/v1/chat" in sample
