"""The app as a process starts it: from its environment."""

import httpx
import pytest
from litestar.types import ASGIApp

from b2b_chat.gateway.app import create_app
from b2b_chat.kit.settings import SettingsError
from support.gateway.app import API_KEY, SECRET, Signed
from support.http.serving import serve


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("GATEWAY_SHARED_SECRET", "OPENAI_API_KEY", "OPENAI_BASE_URL", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_starts_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_SHARED_SECRET", SECRET)
    environment.setenv("OPENAI_API_KEY", API_KEY)
    app: ASGIApp = create_app()
    async with serve(app) as url, httpx.AsyncClient(base_url=url, auth=Signed()) as http:
        assert (await http.get("/internal/ping")).status_code == 200


async def test_does_not_start_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match=r"GATEWAY_SHARED_SECRET.*\n.*OPENAI_API_KEY"):
        create_app()


async def test_does_not_start_in_production_with_a_placeholder(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("APP_ENV", "prod")
    environment.setenv("GATEWAY_SHARED_SECRET", "change-me")
    environment.setenv("OPENAI_API_KEY", API_KEY)
    with pytest.raises(SettingsError, match="GATEWAY_SHARED_SECRET"):
        create_app()
