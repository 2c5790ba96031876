"""Calls with parts, tools and schemas: every text is masked under one numbering, and no name or key."""

import json
from typing import Any

import msgspec
import pytest

from b2b_chat.contract.options import ChatOptions
from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.masking.calls import mask_call
from b2b_chat.product.masking.canaries import CANARIES
from b2b_chat.product.masking.kinds import DEFAULTS, Kind, MaskingAction
from b2b_chat.product.masking.policy import OFF, Policy
from b2b_chat.product.masking.refusals import PersonalDataBlocked, UnmaskableContent
from b2b_chat.product.masking.requests import INSTRUCTION, MaskedMessages, unmasked_call
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking

PERSON = "Иванов Пётр Ильич"
MAIL = "p.ivanov@example.test"
MASKS = Rules(Policy(), is_off=False, key="k")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def call(*messages: dict[str, Any], **options: Any) -> Call:
    """What a client asks."""
    return Call(msgspec.convert(list(messages), list[ChatMessage]), msgspec.convert(options, ChatOptions))


async def masked(*messages: dict[str, Any], rules: Rules = MASKS, **options: Any) -> MaskedMessages:
    """The call as it crosses."""
    return await mask_call(Masking(), rules, call(*messages, **options))


def crossing(border: MaskedMessages) -> str:
    """All that crosses, as one text."""
    return msgspec.json.encode((border.messages, border.options)).decode()


async def test_one_value_has_one_token_in_every_text() -> None:
    arguments = json.dumps({"name": PERSON, "text": f"первая\n{PERSON}"})  # escaped, as most libraries write it
    border = await masked(
        {"role": "developer", "content": f"Письма для {PERSON}"},
        {"role": "user", "content": [{"type": "text", "text": f"Кто {PERSON}?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "их-ид", "type": "function", "function": {"name": "find", "arguments": arguments}}],
        },
        {"role": "tool", "tool_call_id": "их-ид", "content": json.dumps([{"who": PERSON, "mail": MAIL}])},
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "find",
                    "description": f"Ищет, как {PERSON}",
                    "parameters": {
                        "type": "object",
                        "properties": {
                            "description": {"type": "string", "description": MAIL, "enum": [PERSON, "никто"]},
                        },
                        "required": ["description"],
                    },
                },
            }
        ],
        stop=[PERSON],
    )
    told = crossing(border)
    assert PERSON not in told
    assert "\\u0418" not in told
    assert MAIL not in told
    assert border.messages[0].text == INSTRUCTION
    assert border.messages[1].text == "Письма для [PERSON_1]"
    assert border.messages[2].text == "Кто [PERSON_1]?"
    [made] = border.messages[3].tool_calls or []
    assert json.loads(made.function.arguments) == {"name": "[PERSON_1]", "text": "первая\n[PERSON_1]"}
    assert json.loads(border.messages[4].text) == [{"who": "[PERSON_1]", "mail": "[EMAIL_1]"}]
    [tool] = border.options.tools or []
    assert tool.function.description == "Ищет, как [PERSON_1]"
    assert msgspec.to_builtins(tool.function.parameters) == {
        "type": "object",
        "properties": {
            "description": {"type": "string", "description": "[EMAIL_1]", "enum": ["[PERSON_1]", "никто"]},
        },
        "required": ["description"],
    }
    assert border.options.stop == ["[PERSON_1]"]


POSITIONS: dict[str, Any] = {
    "a message": lambda text: {"messages": [{"role": "user", "content": text}]},
    "a developer's message": lambda text: {"messages": [{"role": "developer", "content": text}]},
    "an answer": lambda text: {"messages": [{"role": "assistant", "content": text}]},
    "a part": lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
    "a tool's result": lambda text: {"messages": [{"role": "tool", "tool_call_id": "1", "content": text}]},
    "a tool's result as JSON": lambda text: {
        "messages": [{"role": "tool", "tool_call_id": "1", "content": json.dumps([{"a": [text]}])}]
    },
    "arguments": lambda text: {
        "messages": [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": json.dumps({"a": f"{text}\n1"})}}],
            }
        ]
    },
    "a tool's description": lambda text: {
        "tools": [{"type": "function", "function": {"name": "f", "description": text}}]
    },
    "a tool's schema": lambda text: {
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"properties": {"a": {"examples": [{"b": text}]}}}},
            }
        ]
    },
    "a schema": lambda text: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "f", "schema": {"$defs": {"a": {"const": text}}}},
        }
    },
    "a schema's description": lambda text: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "f", "description": text}}
    },
    "a text that ends the answer": lambda text: {"stop": text},
}
ALL = Rules(Policy(groups=dict.fromkeys(DEFAULTS, MaskingAction.MASK)), is_off=False, key="k")


@pytest.mark.parametrize("position", POSITIONS)
async def test_no_value_of_any_kind_crosses_from_any_place(position: str) -> None:
    for canary in CANARIES:
        value = canary.text[canary.start : canary.end]
        fields = {"messages": [{"role": "user", "content": "Hi"}], **POSITIONS[position](canary.text)}
        rules = ALL._replace(terms=canary.terms)
        told = crossing(await masked(*fields.pop("messages"), rules=rules, **fields)).replace(INSTRUCTION, "")
        assert value not in told, canary.kind
        assert json.dumps(value)[1:-1] not in told, canary.kind


def test_a_place_that_is_not_masked_is_found() -> None:
    planted = crossing(unmasked_call(call({"role": "user", "content": CANARIES[0].text})))
    assert CANARIES[0].text[CANARIES[0].start : CANARIES[0].end] in planted


async def test_ids_of_calls_are_our_own() -> None:
    calls = [
        {"id": each, "type": "function", "function": {"name": "find", "arguments": "{}"}} for each in ("ann", "bob")
    ]
    results = [{"role": "tool", "tool_call_id": each, "content": "1"} for each in ("bob", "ann", "carl")]
    for rules in (MASKS, Rules(OFF, is_off=True, key="")):
        border = await masked({"role": "assistant", "content": "", "tool_calls": calls}, *results, rules=rules)
        assert [each.id for each in border.messages[0].tool_calls or []] == ["call_1", "call_2"]
        assert [each.tool_call_id for each in border.messages[1:]] == ["call_2", "call_1", "call_3"]


@pytest.mark.parametrize(
    "content",
    [
        '{"passport": "4509 123456"}',  # only the key says what it is
        '{"phone": 79161234567}',
        '{"Иванов Пётр Ильич": 5}',
        'Нашёл: {"who": "\\u0418\\u0432\\u0430\\u043d\\u043e\\u0432 \\u041f\\u0451\\u0442\\u0440 \\u0418\\u043b\\u044c\\u0438\\u0447"',
    ],
)
async def test_results_of_tools_are_looked_through_as_documents(content: str) -> None:
    border = await masked({"role": "tool", "tool_call_id": "1", "content": content})
    told = border.messages[-1].text
    assert "_1]" in told
    for value in ("4509", "79161234567", "Пётр", "\\u04"):
        assert value not in told


async def test_a_text_like_a_token_in_a_document_is_nobodys() -> None:
    border = await masked(
        {"role": "user", "content": PERSON},
        {"role": "tool", "tool_call_id": "1", "content": json.dumps({"a": "[PERSON_1]", "b": PERSON})},
    )
    assert json.loads(border.messages[-1].text) == {"a": "[TEXT_1]", "b": "[PERSON_1]"}


async def test_a_document_that_is_too_deep_is_refused() -> None:
    for depth in (70, 2000, 100_000):
        with pytest.raises(UnmaskableContent):
            await masked({"role": "tool", "tool_call_id": "1", "content": "[" * depth + "]" * depth})


async def test_images_are_refused_where_people_or_secrets_are_masked() -> None:
    content = [{"type": "text", "text": "Кто это?"}, IMAGE]
    with pytest.raises(UnmaskableContent):
        await masked({"role": "user", "content": content})
    allowed = MASKS._replace(allows_images=True)
    border = await masked({"role": "user", "content": content}, rules=allowed)
    assert len(border.messages[-1].images) == 1


async def test_a_blocked_kind_blocks_a_call_wherever_it_stands() -> None:
    blocks = MASKS._replace(policy=Policy(kinds={Kind.EMAIL: MaskingAction.BLOCK}))
    with pytest.raises(PersonalDataBlocked):
        await masked(
            {"role": "user", "content": "Пиши"},
            rules=blocks,
            tools=[{"type": "function", "function": {"name": "f", "description": MAIL}}],
        )
