"""No change of the API breaks a client that was written for the last release."""

import copy
import json
from typing import Any, Final

import pytest

from b2b_chat.product.app import create_litestar
from b2b_chat.product.configuration import load_settings
from support.api_changes import bare, breaking
from support.processes.project_files import ROOT
from support.product.app import environ

RELEASED: Final = ROOT / "tests/data/api/released.json"
"""The bare document of the last release; `just api-released` writes it anew, at a release."""


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    settings = load_settings(environ("postgresql://localhost/none", "http://127.0.0.1:1"))
    return bare(create_litestar(settings).openapi_schema.to_schema())


def test_the_last_releases_clients_still_work(now: dict[str, Any]) -> None:
    assert breaking(json.loads(RELEASED.read_text()), now) == [], "keep the old beside the new, and deprecate it"


def test_nothing_is_a_break_but_a_change(now: dict[str, Any]) -> None:
    assert breaking(now, copy.deepcopy(now)) == []


def schema(document: dict[str, Any], name: str) -> Any:
    return document["schemas"][name]


BREAKS: Final = {
    "a path is gone": lambda now: now["paths"].pop("/v1/balance"),
    "an operation is gone": lambda now: now["paths"]["/v1/conversations/{conversation_id}"].pop("delete"),
    "a name of an operation": lambda now: now["paths"]["/v1/chat"]["post"].update(operationId="send"),
    "a parameter is gone": lambda now: now["paths"]["/v1/ledger"]["get"]["parameters"].pop("query kind"),
    "a parameter is required": lambda now: now["paths"]["/v1/ledger"]["get"]["parameters"]["query kind"].update(
        required=True
    ),
    "a new parameter is required": lambda now: now["paths"]["/v1/balance"]["get"]["parameters"].update(
        {"query at": {"required": True, "type": "string"}}
    ),
    "a field of an answer is gone": lambda now: schema(now, "ChatAnswer")["properties"].pop("text"),
    "a field of an answer may be missing": lambda now: schema(now, "ChatAnswer")["required"].remove("text"),
    "a field of a request is gone": lambda now: schema(now, "ChatSend")["properties"].pop("stream"),
    "a field of a request is required": lambda now: schema(now, "ChatSend")["required"].append("stream"),
    "another type": lambda now: schema(now, "Balance")["properties"]["held_credits"].update(type="number"),
    "another format": lambda now: schema(now, "Company")["properties"]["id"].update(format="int64"),
    "a value is gone": lambda now: schema(now, "Role")["enum"].remove("admin"),
    "a schema is gone": lambda now: now["schemas"].pop("Conversation"),
    "an answer is another one": lambda now: now["paths"]["/v1/balance"]["get"]["answers"]["200"].update(
        {"application/json": {"$ref": "#/components/schemas/Company"}}
    ),
    "a body is required": lambda now: now["paths"]["/auth/logout"]["post"].update(
        body={"application/json": {"$ref": "#/components/schemas/LinkToken"}}
    ),
    "a kind of answer is gone": lambda now: now["paths"]["/v1/chat"]["post"]["answers"]["200"].pop("text/event-stream"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_every_break_is_found(now: dict[str, Any], name: str) -> None:
    changed = copy.deepcopy(now)
    BREAKS[name](changed)
    assert breaking(now, changed) != []


def test_what_is_added_breaks_nobody(now: dict[str, Any]) -> None:
    more = copy.deepcopy(now)
    more["paths"]["/v1/news"] = {"get": more["paths"]["/v1/balance"]["get"]}
    more["schemas"]["News"] = schema(more, "Balance")
    schema(more, "ChatSend")["properties"]["mood"] = {"type": "string"}
    schema(more, "ChatAnswer")["properties"]["mood"] = {"type": "string"}
    schema(more, "ChatAnswer")["required"].append("mood")
    schema(more, "ErrorCode")["enum"].append("bad_mood")
    more["paths"]["/v1/balance"]["get"]["parameters"]["query at"] = {"required": False, "type": "string"}
    assert breaking(now, more) == []
