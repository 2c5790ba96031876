"""Which tools the simulated model calls, and with what."""

import json
import zlib
from typing import Final

from msgspec import Struct

from b2b_chat.sandbox.openai_simulator.chat_request import ChatRequest, NamedToolChoice, Tool
from b2b_chat.sandbox.openai_simulator.directives import Directives
from b2b_chat.sandbox.openai_simulator.examples import example

_PIECE_CHARACTERS: Final = 8


class Call(Struct, frozen=True):
    """A call of a tool, its arguments in the pieces that are streamed."""

    id: str
    name: str
    arguments: list[str]


def calls_for(request: ChatRequest, wish: Directives) -> list[Call]:
    """Return the calls of an answer.

    A tool is called where the request demands it (`tool_choice`), and where the directive `tool` asks for it; not in
    answer to a tool's result.
    """
    tool = _chosen(request, wish)
    if tool is None:
        return []
    arguments = wish.arguments
    if arguments is None:
        arguments = json.dumps(example(tool.function.parameters or {}), ensure_ascii=False)
    pieces = [arguments[start : start + _PIECE_CHARACTERS] for start in range(0, len(arguments), _PIECE_CHARACTERS)]
    seed = zlib.crc32("\0".join(message.text for message in request.messages).encode(errors="surrogatepass"))
    return [Call(f"call_simulated{seed:08x}{number}", tool.function.name, pieces) for number in range(wish.calls)]


def _chosen(request: ChatRequest, wish: Directives) -> Tool | None:
    tools = {tool.function.name: tool for tool in request.tools or ()}
    choice = request.tool_choice
    if not tools or choice == "none":
        return None
    first = next(iter(tools.values()))
    if isinstance(choice, NamedToolChoice):
        return tools.get(choice.function.name)
    if choice == "required":
        return tools.get(wish.tool or "", first)
    if wish.tool is None or request.messages[-1].role == "tool":
        return None
    return tools.get(wish.tool, first if wish.tool == "true" else None)
