"""The import contracts of pyproject.toml hold, and each notices a breach that is planted in a copy of the source."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
CONTRACTS: Final = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

CONTRACT, KIT, APART, SANDBOX, CIRCLES, LAYERS, WORDS, DOMAINS, SQL, OPENAI, CLIENT = CONTRACTS


class Breach(NamedTuple):
    """An import that a contract forbids: a file of the package, new or not, and what it is made to import."""

    contract: str
    file: str
    imports: str


BREACHES: Final = [
    Breach(CONTRACT, "contract/signing.py", "b2b_chat.product.viewer"),
    Breach(KIT, "kit/planted.py", "b2b_chat.product.viewer"),
    Breach(APART, "product/planted.py", "b2b_chat.gateway.breaker"),
    Breach(SANDBOX, "product/planted.py", "b2b_chat.sandbox.ports"),
    Breach(SANDBOX, "sandbox/planted.py", "b2b_chat.cli.failures"),
    Breach(CIRCLES, "kit/errors.py", "b2b_chat.kit.health"),  # of files
    Breach(CIRCLES, "product/mail/letters.py", "b2b_chat.product.identity.languages"),  # of domains
    Breach(CIRCLES, "product/vocabulary.py", "b2b_chat.product.chat.schemas"),
    Breach(LAYERS, "product/credits/service.py", "b2b_chat.product.credits.routes"),
    Breach(LAYERS, "product/planted/repository.py", "b2b_chat.product.planted.service"),
    Breach(WORDS, "product/planted/repository.py", "litestar"),
    Breach(WORDS, "product/identity/models.py", "litestar"),
    Breach(DOMAINS, "product/planted/service.py", "b2b_chat.product.identity.models"),
    Breach(DOMAINS, "product/web/pages.py", "b2b_chat.product.identity.repository.keys"),
    Breach(DOMAINS, "product/services.py", "b2b_chat.product.chat.repository"),
    Breach(SQL, "product/planted/service.py", "sqlalchemy"),
    Breach(SQL, "product/companies/invites.py", "sqlalchemy.orm"),
    Breach(OPENAI, "gateway/planted.py", "openai"),
    Breach(OPENAI, "gateway/answers.py", "openai.types"),
    Breach(CLIENT, "../b2b_chat_client/planted.py", "b2b_chat.contract.sse"),
    Breach(CLIENT, "sandbox/planted.py", "b2b_chat_client.sse"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and its contracts, apart from the checkout."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("b2b_chat", "b2b_chat_client"):
        shutil.copytree(ROOT / "src" / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_in(folder: Path) -> list[str]:
    """The names of the contracts that do not hold in a folder."""
    # The folder goes first on the path, so that its package is the one that is read.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    done = subprocess.run([*command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    told = [line.rsplit(" BROKEN", 1)[0] for line in done.stdout.splitlines() if " BROKEN" in line]
    assert (done.returncode == 0) == (not told), done.stdout + done.stderr
    assert sum(" KEPT" in line for line in done.stdout.splitlines()) + len(told) == len(CONTRACTS), done.stdout
    return told


def test_the_source_keeps_every_contract(copy: Path) -> None:
    assert broken_in(copy) == []


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.file}-{breach.imports}")
def test_a_planted_breach_is_noticed(copy: Path, breach: Breach) -> None:
    file = copy / "b2b_chat" / breach.file
    planted = [] if file.parent.exists() else [file.parent]
    before = file.read_text() if file.exists() else None
    for folder in planted:
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "service.py").write_text("")
    try:
        file.write_text(f"{before or ''}\nimport {breach.imports}\n")
        assert breach.contract in broken_in(copy)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)
        for folder in planted:
            shutil.rmtree(folder)


def test_every_contract_has_a_breach_that_it_notices() -> None:
    assert {breach.contract for breach in BREACHES} == set(CONTRACTS)
