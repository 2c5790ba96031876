"""Other people's clients against the whole stack: every cell of the table in deploy/CLIENTS.md."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from support.client.strangers import installed_strangers, problems_of
from support.database.world import World
from support.faults.stack import FaultStack
from support.processes.pasting import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLE: Final = ROOT / "deploy/CLIENTS.md"
PROGRAMS: Final = {
    "httpx-sse": "httpx_sse_native.py",
    "EventSource": "eventsource_native.mjs",
    "fetch-event-source": "fetch_event_source.mjs",
}
FEATURES: Final = {
    "native stream": "native_stream",
    "native resume": "native_resume",
}


def table() -> dict[str, dict[str, str]]:
    """The document's table: by client, the cell of each feature."""
    lines = re.findall(r"^\|(.*)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    header = next(row for row in rows if row[0] == "client")
    return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows if row[0] in PROGRAMS}


CELLS: Final = [
    (client, feature) for client, cells in table().items() for feature, cell in cells.items() if cell == "yes"
]


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every client, installed."""
    return installed_strangers(tmp_path_factory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def environ(stack: FaultStack, world: World) -> AsyncIterator[dict[str, str]]:
    """The address and a key; the books are right afterwards."""
    await stack.heal()
    person = await world.person(balance="1000000")
    yield {"OPENAI_BASE_URL": f"{stack.url}/v1", "OPENAI_API_KEY": person.api_key}
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
    assert set(said[client]) == {FEATURES[of] for name, of in CELLS if name == client}
    problem = said[client][FEATURES[feature]]
    assert problem is None, problem


async def test_the_table_has_every_client_and_feature() -> None:
    assert list(table()) == list(PROGRAMS)
    for cells in table().values():
        assert list(cells) == list(FEATURES)
        assert set(cells.values()) <= {"yes", "no"}
