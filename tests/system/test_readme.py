"""The README's own commands, pasted as they stand there."""

import json
import re
import signal
from pathlib import Path

from b2b_chat.sandbox.sign_in import describe_sign_in
from support.processes.commands import addresses_of, clean_environ, started
from support.processes.pasting import ROOT, Terminal, blocks_of

README = "README.md"


def test_the_two_commands_come_first() -> None:
    assert blocks_of(README, "Try it")[:2] == [
        "pip install uv && uv run b2b-chat demo\n",
        "pip install uv && uv run just test\n",
    ]


def test_the_examples_work_when_pasted(tmp_path: Path) -> None:
    up, export_key, whole, export_conversation, streamed = blocks_of(README, "Use it")
    assert up == "uv run b2b-chat up\n"
    assert export_key == "export API_KEY=b2b_...\n"
    assert export_conversation == "export CONVERSATION=...\n"
    python, openai = blocks_of(README, "Use it", "python")
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=clean_environ(tmp_path)) as process:
        stack = addresses_of(process)
        terminal = Terminal(tmp_path, clean_environ(tmp_path, API_KEY=stack["api_key"]), stack)

        first = json.loads(terminal.paste(whole))
        assert first["status"] == "completed"
        assert first["text"]
        again = json.loads(terminal.paste(whole))
        assert again == first  # the same ids and answer, and the balance has not moved

        terminal.environ["CONVERSATION"] = first["conversation_id"]
        events = terminal.paste(streamed)
        assert re.findall(r"^event: (\w+)$", events, re.MULTILINE)[:2] == ["start", "delta"]
        assert re.findall(r"^event: (\w+)$", events, re.MULTILINE)[-1] == "final"
        assert f'"conversation_id":"{first["conversation_id"]}"' in events

        whole_text, streamed_text = terminal.paste_python(python).split("\n", 1)
        assert "What is a gateway?" in whole_text
        assert "And a border?" in streamed_text

        assert terminal.paste_python(f"import os\n{openai}print(client.models.list().data[0].id)") == "gpt-5.2\n"

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_address_to_sign_in_by_is_announced_as_it_stands_there() -> None:
    """That it signs in is tested in `test_up_sign_in`."""
    announced = describe_sign_in("http://127.0.0.1:8000/auth/verify#…")
    assert f"```\n{announced}\n```\n" in (ROOT / README).read_text(encoding="utf-8")
