"""The examples of the clients' READMEs, run as they stand there, and a tour of the TypeScript client."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from support.client.typescript import run_node
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.processes.commands import clean_environ
from support.processes.pasting import blocks_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PYTHON = "src/b2b_chat_client/README.md"
TYPESCRIPT = "src/b2b_chat_client_ts/README.md"
SHOWN = {
    "Send a message": "credits are left.",
    "Read an answer while it is written": " tokens\n",
    "Async": "",
    "Lists": "",
    "Errors and retries": "",
    "Webhooks": "",
}
EXAMPLES = ("Send a message", "Read an answer while it is written", "Lists", "Errors and retries")
"""Of the TypeScript client's."""


@pytest.mark.parametrize("section", SHOWN)
async def test_an_example_works(section: str, stack: FaultStack, person: Person, tmp_path: Path) -> None:
    (example,) = blocks_of(PYTHON, section, "python")
    environ = clean_environ(tmp_path, B2B_CHAT_API_KEY=person.api_key, B2B_CHAT_BASE_URL=stack.url)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", example], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[section] in done.stdout


@pytest.fixture
def node_environ(stack: FaultStack, person: Person, client_ts: Path) -> dict[str, str]:
    """For programs of node that use the client."""
    return {
        "CLIENT": (client_ts / "dist").as_uri(),
        "B2B_CHAT_API_KEY": person.api_key,
        "B2B_CHAT_BASE_URL": stack.url,
    }


@pytest.fixture(scope="module")
def examples(client_ts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the TypeScript README's examples, compiled strictly against the installed package."""
    folder = tmp_path_factory.mktemp("examples")
    installed = folder / "node_modules/b2b-chat-client"
    installed.parent.mkdir()
    installed.symlink_to(client_ts)
    for section in EXAMPLES:
        (example,) = blocks_of(TYPESCRIPT, section, "ts")
        (folder / f"{section}.mts").write_text(example)
    tsc = client_ts / "node_modules/typescript/bin/tsc"
    options = ("--strict", "--target", "ES2022", "--lib", "ES2022,DOM", "--module", "NodeNext")
    compiled = run_node(tsc, *options, *(f"{section}.mts" for section in EXAMPLES), environ={}, cwd=folder)
    assert compiled.returncode == 0, compiled.stdout
    return folder


@pytest.mark.parametrize("section", EXAMPLES)
async def test_an_example_of_typescript_works(section: str, examples: Path, node_environ: dict[str, str]) -> None:
    done = await asyncio.to_thread(run_node, f"{section}.mjs", environ=node_environ, cwd=examples)
    assert done.returncode == 0, done.stderr
    assert SHOWN[section] in done.stdout


async def test_a_tour_of_typescript(node_environ: dict[str, str], world: World) -> None:
    done = await asyncio.to_thread(run_node, Path(__file__).parent / "typescript/tour.mjs", environ=node_environ)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    await world.check_books()
