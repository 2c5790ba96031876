"""The examples of the Python client's README, run as they stand there."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from support.database.world import Person
from support.faults.stack import FaultStack
from support.processes.commands import clean_environ
from support.processes.pasting import blocks_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

README = "src/b2b_chat_client/README.md"
SHOWN = {
    "Send a message": "credits are left.",
    "Read an answer while it is written": " tokens\n",
    "Async": "",
    "Lists": "",
    "Errors and retries": "",
    "Webhooks": "",
}


@pytest.mark.parametrize("section", SHOWN)
async def test_an_example_works(section: str, stack: FaultStack, person: Person, tmp_path: Path) -> None:
    (example,) = blocks_of(README, section, "python")
    environ = clean_environ(tmp_path, B2B_CHAT_API_KEY=person.api_key, B2B_CHAT_BASE_URL=stack.url)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", example], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[section] in done.stdout
