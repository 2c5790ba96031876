"""Other people's clients against the whole stack: every cell of the table in deploy/CLIENTS.md."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from support.client.strangers import installed_strangers, problems_of, said_by
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.network.proxy import Proxy
from support.processes.pasting import ROOT
from support.processes.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLE: Final = ROOT / "deploy/CLIENTS.md"
PROGRAMS: Final = {
    "openai (Python)": "openai_python.py",
    "openai (JavaScript)": "openai_node.mjs",
    "LangChain": "langchain.py",
    "LlamaIndex": "llamaindex.py",
    "AI SDK": "ai_sdk.mjs",
    "httpx-sse": "httpx_sse_native.py",
    "EventSource": "eventsource_native.mjs",
    "fetch-event-source": "fetch_event_source.mjs",
}
FEATURES: Final = {
    "models": "models",
    "chat": "chat",
    "stream": "stream",
    "async": "asynchronous",
    "tools": "tools",
    "structured": "structured",
    "responses": "responses",
    "errors": "errors",
    "native stream": "native_stream",
    "native resume": "native_resume",
}


def table() -> dict[str, dict[str, str]]:
    """The document's table: by client, the cell of each feature."""
    lines = re.findall(r"^\|(.*)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    header = next(row for row in rows if row[0] == "client")
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows if row[0] in PROGRAMS}


LOST_AFTER_BYTES: Final = 40
"""Of a reply: its status line, and not much more."""
CELLS: Final = [
    (client, feature) for client, cells in table().items() for feature, cell in cells.items() if cell == "yes"
]


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every client, installed."""
    return installed_strangers(tmp_path_factory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def environ(stack: FaultStack, world: World) -> AsyncIterator[dict[str, str]]:
    """The address, a key, and the key of a company without credits; the books are right afterwards."""
    await stack.heal()
    person, poor = await world.person(balance="1000000"), await world.person(balance="0")
    yield {
        "OPENAI_BASE_URL": f"{stack.url}/v1",
        "OPENAI_API_KEY": person.api_key,
        "POOR_API_KEY": poor.api_key,
    }
    await world.check_books()


@pytest.fixture(scope="session")
def said() -> dict[str, dict[str, str | None]]:
    """What each program has said: it runs once, for all of its cells."""
    return {}


@pytest.mark.parametrize(("client", "feature"), CELLS, ids=lambda name: name)
async def test_a_cell_of_the_table_works(
    client: str,
    feature: str,
    strangers: Path,
    environ: dict[str, str],
    said: dict[str, dict[str, str | None]],
) -> None:
    if client not in said:
        said[client] = await asyncio.to_thread(problems_of, strangers, PROGRAMS[client], environ)
    problem = said[client][FEATURES[feature]]
    assert problem is None, problem


async def test_the_table_has_every_client_and_feature() -> None:
    assert list(table()) == list(PROGRAMS)
    for cells in table().values():
        assert list(cells) == list(FEATURES)
        assert set(cells.values()) <= {"yes", "no"}


@pytest.mark.parametrize(("line", "has_key"), [("gateway", True), ("gateway", False), ("client", True)])
@pytest.mark.parametrize("program", ["openai_retries.py", "openai_retries.mjs"])
async def test_the_silent_retries_of_an_sdk_are_charged_once(
    program: str, line: str, has_key: bool, strangers: Path, stack: FaultStack, world: World, person: Person
) -> None:
    lossy: Proxy = stack.gateway_line if line == "gateway" else stack.client_line
    passed = lossy.replies.passed_bytes
    lossy.replies.toxics.limit_bytes = LOST_AFTER_BYTES
    environ = {"OPENAI_BASE_URL": f"{stack.url}/v1", "OPENAI_API_KEY": person.api_key}
    asking = asyncio.create_task(
        asyncio.to_thread(said_by, strangers, program, {**environ, "IDEMPOTENCY_KEY": "mine" if has_key else ""})
    )

    async def is_lost() -> bool:
        return lossy.replies.passed_bytes >= passed + LOST_AFTER_BYTES or asking.done()

    await until(is_lost)
    lossy.heal()
    (answer,) = await asking
    assert answer["text"]
    charges = [entry for entry in await world.ledger(person) if entry["kind"] == "charge"]
    assert len(charges) == 1
    await world.check_books()
