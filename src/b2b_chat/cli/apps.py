"""Commands that run one part alone, as production does."""

import os
from importlib import import_module
from typing import Final

import click

from b2b_chat.cli.failures import fail, needs, settings_explained

_SIMULATOR_PORT: Final = "8002"
_AFTER_GRACE_SECONDS: Final = 10
"""What an app may take to end once its own grace for running answers is over."""

_STAND_INS: Final = {
    "DATABASE_URL": "postgresql://localhost/none",
    "GATEWAY_SHARED_SECRET": "none",
    "OPENAI_API_KEY": "none",
}


@click.command()
def product() -> None:
    """Run product_api alone; settings come from the environment."""
    with needs("product"), settings_explained():
        from b2b_chat.product.settings import load_settings

        settings = load_settings()
        _serve(
            "b2b_chat.product.app",
            host=settings.product_host,
            port=settings.product_port,
            workers=settings.workers,
            grace_seconds=settings.shutdown_grace_seconds,
        )


@click.command()
def gateway() -> None:
    """Run gateway_api alone; settings come from the environment."""
    with needs("gateway"), settings_explained():
        from b2b_chat.gateway.settings import load_settings

        settings = load_settings()
        _serve(
            "b2b_chat.gateway.app",
            host=settings.gateway_host,
            port=settings.gateway_port,
            workers=settings.workers,
            grace_seconds=settings.shutdown_grace_seconds,
        )


@click.command("openai-simulator")
@click.option("--port", type=click.IntRange(1, 65535), envvar="OPENAI_SIMULATOR_PORT", default=_SIMULATOR_PORT)
def openai_simulator(port: int) -> None:
    """Run the simulated OpenAI alone; settings are OPENAI_SIMULATOR_... in the environment."""
    with needs("sandbox"), settings_explained():
        from b2b_chat.sandbox.openai_simulator.settings import settings_from

        settings_from(os.environ)
        _serve("b2b_chat.sandbox.openai_simulator", host="127.0.0.1", port=port, workers=1, grace_seconds=0)


@click.command()
def migrate() -> None:
    """Apply the migrations that the database at DATABASE_URL lacks."""
    with needs("product"), settings_explained():
        from b2b_chat.product.schema import upgrade_to_head
        from b2b_chat.product.settings import load_settings

        upgrade_to_head(load_settings().database_url.reveal())


@click.command()
@click.argument("app", type=click.Choice(["product", "gateway"]))
def openapi(app: str) -> None:
    """Print the OpenAPI description of an app as JSON."""
    import json

    with needs(app):
        # Nothing is connected to for a description; these only have to be there.
        settings = import_module(f"b2b_chat.{app}.settings").load_settings(_STAND_INS)
        litestar = import_module(f"b2b_chat.{app}.app").create_litestar(settings)
        click.echo(json.dumps(litestar.openapi_schema.to_schema(), indent=2))


def _serve(module: str, *, host: str, port: int, workers: int, grace_seconds: int) -> None:
    """Serve a module's `create_app` until SIGTERM."""
    from b2b_chat.kit.serving import PortBusy, serve

    # Imported before the workers start: a package that is missing is then told once, and the workers share the memory.
    import_module(module)
    kill_after_seconds = grace_seconds + _AFTER_GRACE_SECONDS
    try:
        serve(f"{module}:create_app", host=host, port=port, workers=workers, kill_after_seconds=kill_after_seconds)
    except PortBusy as error:
        fail(str(error))


COMMANDS: Final = (product, gateway, openai_simulator, migrate, openapi)
