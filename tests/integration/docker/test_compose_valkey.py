"""The Valkey of compose.yaml: its command, run as a container's shell runs it."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import yaml

from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.http.serving import free_port
from support.processes.commands import until
from support.processes.project_files import ROOT

_PASSWORD = "a-password-of-this-test"


def ask(port: int, *commands: bytes) -> bytes:
    """What the server answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"".join(command + b"\r\n" for command in commands))
        answer = b""
        while answer.count(b"\r\n") < len(commands):
            answer += line.recv(4096)
        return answer


def listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_it_takes_commands_with_its_password_alone_and_no_list_of_processes_shows_it(
    own_valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    program = Path(f"/proc/{own_valkey.child.pid}/exe").readlink()
    *shell, command = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["valkey"]["command"]
    port = free_port()
    command = command.replace("$$", "$").replace("valkey-server -", f"valkey-server - --port {port}", 1)
    (tmp_path / "valkey-server").symlink_to(program)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDISCLI_AUTH": _PASSWORD}
    process = subprocess.Popen([*shell, command], env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until(lambda: listens(port))
        assert _PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert ask(port, b"PING").startswith(b"-NOAUTH")
        assert ask(port, b"AUTH " + _PASSWORD.encode(), b"PING") == b"+OK\r\n+PONG\r\n"
    finally:
        process.send_signal(signal.SIGTERM)
        # It is the container's first process, and so the one that is told to stop.
        assert process.wait(10) == 0
