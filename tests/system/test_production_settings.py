"""Both apps as processes, with production settings that are bad: they end, say why, and show no value."""

from pathlib import Path

import pytest

from support.processes.commands import clean_environ, run
from support.processes.production_settings import BAD_GATEWAY, BAD_PRODUCT, GATEWAY, OTHER_SECRET, PRODUCT, Bad

_EVERY = 16
"""The settings' own tests try all; here every so many, since a process costs a second."""


@pytest.mark.parametrize("bad", BAD_PRODUCT[::_EVERY], ids=lambda bad: bad.id)
def test_product_api_does_not_start(bad: Bad, tmp_path: Path) -> None:
    refused_to_start("product", PRODUCT, bad, tmp_path)


@pytest.mark.parametrize("bad", BAD_GATEWAY[::_EVERY], ids=lambda bad: bad.id)
def test_gateway_api_does_not_start(bad: Bad, tmp_path: Path) -> None:
    refused_to_start("gateway", GATEWAY, bad, tmp_path)


def refused_to_start(app: str, good: dict[str, str], bad: Bad, folder: Path) -> None:
    done = run(app, environ=clean_environ(folder, **bad.environ(good, folder)), timeout_seconds=30)
    assert done.returncode == 2
    assert bad.is_told_by(done.stderr), done.stderr
    assert bad.leaks_in(done.stdout + done.stderr) == []


def test_openais_key_on_the_product_server_is_refused_beside_all_else(tmp_path: Path) -> None:
    bad = Bad({"OPENAI_API_KEY": f"sk-{OTHER_SECRET}"}, "OPENAI_API_KEY")
    refused_to_start("product", PRODUCT, bad, tmp_path)
