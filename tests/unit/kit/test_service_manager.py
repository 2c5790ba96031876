"""What systemd learns."""

import socket
from pathlib import Path
from uuid import uuid4

import pytest

from b2b_chat.kit.service_manager import report_ready


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_manager_that_asks_is_told_when_we_serve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_abstract: bool
) -> None:
    name = f"@b2b-chat-{uuid4()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        report_ready()
        assert manager.recv(64) == b"READY=1"


def test_a_manager_that_is_gone_ends_no_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    report_ready()


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    report_ready()
