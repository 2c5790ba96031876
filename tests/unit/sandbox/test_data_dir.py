import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from b2b_chat.sandbox import data_dir
from b2b_chat.sandbox.data_dir import SECRET_NAMES, DataDir, default_path
from b2b_chat.sandbox.errors import SandboxError


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[DataDir]:
    folder = DataDir(tmp_path / "deep" / "down")
    folder.open()
    yield folder
    folder.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_for_its_owner_alone(opened: DataDir) -> None:
    assert mode(opened.path) == 0o700
    assert mode(opened.log("gateway").parent) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = DataDir(tmp_path)
    folder.open()
    folder.close()
    assert mode(tmp_path) == 0o755


def test_it_is_in_the_users_data_home_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "b2b-chat"


def test_secrets_are_made_once_and_only_their_owner_can_read_them(opened: DataDir) -> None:
    made = opened.secrets()
    assert set(made) == set(SECRET_NAMES)
    assert len(set(made.values())) == len(SECRET_NAMES)
    assert all(len(secret) >= 32 for secret in made.values())
    assert opened.secrets() == made
    assert DataDir(opened.path).secrets() == made
    assert mode(opened.path / "secrets.json") == 0o600


def test_secrets_that_a_later_version_adds_leave_the_others_as_they_are(opened: DataDir) -> None:
    (opened.path / "secrets.json").write_text('{"SESSION_SECRET": "old"}')
    assert opened.secrets()["SESSION_SECRET"] == "old"
    assert set(opened.secrets()) == set(SECRET_NAMES)


def test_the_api_key_is_kept_for_its_owner_alone(opened: DataDir) -> None:
    assert opened.api_key() is None
    opened.keep_api_key("key-1")
    opened.keep_api_key("key-2")
    assert opened.api_key() == "key-2"
    assert mode(opened.path / "api_key") == 0o600


def test_two_runs_cannot_have_it_at_once_but_one_after_the_other(
    opened: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_dir, "_LOCK_SECONDS", 0.1)
    second = DataDir(opened.path)
    with pytest.raises(SandboxError, match=rf"Another b2b-chat \(process {os.getpid()}\) is running on"):
        second.open()
    assert not second.is_open
    opened.close()
    second.open()
    second.close()


def test_a_file_in_its_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match=r"Cannot use the data folder .*file: .*--data-dir"):
        DataDir(tmp_path / "file").open()


def test_a_disk_with_too_little_room_is_reported_and_the_folder_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_dir, "_NEEDED_BYTES", 2**60)
    folder = DataDir(tmp_path)
    with pytest.raises(SandboxError, match=r"The disk of .* is full: \d+ MB are free"):
        folder.open()
    assert not folder.is_open


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_not_used(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(SandboxError, match=r"belongs to another user \(uid 12345\)"):
        DataDir(tmp_path).open()
