import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from b2b_chat.sandbox import accounts
from b2b_chat.sandbox.accounts import account_for_postgres
from b2b_chat.sandbox.errors import SandboxError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs an account for PostgreSQL")


@pytest.fixture
def unknown_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"b2bchat{secrets.token_hex(4)}"
    monkeypatch.setattr(accounts, "ACCOUNT", name)
    yield name
    subprocess.run(["/usr/sbin/userdel", name], check=False, capture_output=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="for a normal user")
def test_a_normal_user_needs_no_account() -> None:
    assert account_for_postgres() is None


@AS_ROOT
def test_root_gets_a_system_account_without_a_login(unknown_account: str) -> None:
    made = account_for_postgres()
    entry = pwd.getpwnam(unknown_account)
    assert made is not None
    assert (made.uid, made.gid) == (entry.pw_uid, entry.pw_gid)
    assert made.uid != 0
    assert entry.pw_shell.endswith("nologin")
    again = account_for_postgres()
    assert again is not None
    assert again.uid == made.uid


@AS_ROOT
@pytest.mark.usefixtures("unknown_account")
def test_where_no_account_can_be_made_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing/here")
    monkeypatch.setattr(accounts, "USERADD", "/nothing/here/useradd")
    with pytest.raises(
        SandboxError, match=r"cannot be created: .*useradd.* Run this as a normal user, or set DATABASE_URL"
    ):
        account_for_postgres()


@AS_ROOT
def test_root_needs_no_path_to_the_tools_of_root(unknown_account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing/here")
    made = account_for_postgres()
    assert made is not None
    assert made.uid == pwd.getpwnam(unknown_account).pw_uid


@AS_ROOT
def test_the_systems_message_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ACCOUNT", "not a name")
    with pytest.raises(SandboxError, match=r"cannot be created: .*invalid user name"):
        account_for_postgres()
