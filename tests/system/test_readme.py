"""The README's own commands, pasted as they stand there."""

import json
import re
import signal
import subprocess
from pathlib import Path

from b2b_chat.sandbox.sign_in import describe_sign_in
from support.processes.commands import addresses_of, clean_environ, started

README = Path(__file__).parents[2] / "README.md"


def blocks_of(section: str) -> list[str]:
    """The shell commands of a section."""
    text = README.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def paste(command: str, *, product_url: str, environ: dict[str, str]) -> str:
    """Run a command as a newcomer would, at the port that this stack happens to have."""
    command = command.replace("http://127.0.0.1:8000", product_url)
    pasted = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, check=True)
    return pasted.stdout


def test_the_two_commands_come_first() -> None:
    assert blocks_of("Try it") == [
        "pip install uv && uv run b2b-chat demo\n",
        "pip install uv && uv run just test\n",
    ]


def test_the_examples_work_when_pasted(tmp_path: Path) -> None:
    up, export_key, whole, streamed = blocks_of("Use it")
    assert up == "uv run b2b-chat up\n"
    assert export_key == "export API_KEY=b2b_...\n"
    environ = clean_environ(tmp_path)
    with started("up", "--json", "--data-dir", tmp_path / "data", environ=environ) as process:
        stack = addresses_of(process)
        environ["API_KEY"] = stack["api_key"]

        first = json.loads(paste(whole, product_url=stack["product_url"], environ=environ))
        assert first["status"] == "completed"
        assert first["text"]
        again = json.loads(paste(whole, product_url=stack["product_url"], environ=environ))
        assert again == first  # the same ids and answer, and the balance has not moved

        events = paste(streamed, product_url=stack["product_url"], environ=environ)
        assert re.findall(r"^event: (\w+)$", events, re.MULTILINE)[:2] == ["start", "delta"]
        assert re.findall(r"^event: (\w+)$", events, re.MULTILINE)[-1] == "final"

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_address_to_sign_in_by_is_announced_as_it_stands_there() -> None:
    """That it signs in is tested in `test_up_sign_in`."""
    announced = describe_sign_in("http://127.0.0.1:8000/auth/verify#…")
    assert f"```\n{announced}\n```\n" in README.read_text(encoding="utf-8")
