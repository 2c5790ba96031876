"""The recipe that measures how tokens survive a model, against the simulated one."""

import asyncio
import json
import os
import sys

import pytest

from bench.masking_survival import TASKS, Task, masked, outcomes
from support.openai.simulated import simulated_openai
from support.processes.project_files import ROOT

LETTER = masked(Task("letter", "Соколова Ирина Павловна и Тихонов Олег Юрьевич, irina@example.com"))


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ("[PERSON_1], [PERSON_2], [EMAIL_1]", {"intact": 3}),
        ("[Person 1], PERSON_2 и [EMAIL_1]", {"intact": 1, "altered": 2}),
        ("[PERSON_1] и её коллега", {"intact": 1, "dropped": 2}),
        ("[PERSON_1], [PERSON_2], [PERSON_3], [EMAIL_1]", {"intact": 3, "invented": 1}),
        ("", {"dropped": 3}),
    ],
)
def test_each_token_is_counted_once(answer: str, counts: dict[str, int]) -> None:
    assert +outcomes(LETTER, answer) == counts


async def test_the_recipe_tells_what_came_back() -> None:
    """The simulated model repeats what it was asked, so every token comes back."""
    async with simulated_openai() as openai:
        environ = {**os.environ, "OPENAI_API_KEY": "sk-any", "OPENAI_BASE_URL": f"{openai.url}/v1"}
        environ["PYTHONPATH"] = str(ROOT / "tests")
        command = [sys.executable, str(ROOT / "tests/bench/masking_survival.py"), "--yes", "--json"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=pipe, stderr=pipe)
        output, progress = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, progress
    assert f"{len(TASKS)} calls".encode() in progress
    found = json.loads(output)
    assert set(found) == {task.name for task in TASKS}
    for task in TASKS:
        assert found[task.name]["intact"] == len({(mask.kind, mask.number) for mask in masked(task).masks}) > 0
