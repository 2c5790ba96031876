"""nginx before an app that records the requests that reach it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.http.recording_app import AppBehind
from support.http.serving import serve
from support.network.nginx import Behind, Nginx, SiteName

LISTED = ("127.0.0.1", "127.0.0.2")


@pytest.fixture(params=["product_api", "gateway_api"])
def site(request: pytest.FixtureRequest) -> SiteName:
    """Each of the two sites."""
    name: SiteName = request.param
    return name


@pytest_asyncio.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    """Both sites, with the app behind them."""
    app = AppBehind()
    async with serve(app) as url:
        port = int(url.rpartition(":")[2])
        nginx = Nginx(tmp_path / "nginx", {"product_api": port, "gateway_api": port}, allowed=LISTED)
        with nginx.running():
            yield Behind(nginx, app)
        app.go_on.set()
