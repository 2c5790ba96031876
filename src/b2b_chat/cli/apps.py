"""Commands that run one part alone, as production does."""

import os
import sys
from typing import Final

import click

from b2b_chat.cli.failures import fail, needs, settings_explained

_SIMULATOR_PORT: Final = "8002"
_AFTER_GRACE_SECONDS: Final = 10
"""The time in which an app ends after its own grace for running answers."""

_STAND_INS: Final = {
    "DATABASE_URL": "postgresql://localhost/none",
    "GATEWAY_SHARED_SECRET": "none",
    "SESSION_SECRET": "none",
    "AUTH_TOKEN_SECRET": "none",
    "INVITE_TOKEN_SECRET": "none",
}
"""A description connects to nothing; these only have to be set."""


@click.command()
def product() -> None:
    """Run product_api alone.

    Settings come from the environment; deploy/env/product_api.env.example lists them.
    """
    with needs("product", "asyncpg", "sqlalchemy"), settings_explained():
        from b2b_chat.product.configuration import load_settings

        settings = load_settings()
        _need_tracing(settings.otel_exporter_otlp_endpoint)
        _serve(
            "b2b_chat.product.app:create_app",
            app="product_api",
            host=settings.product_host,
            port=settings.product_port,
            workers=settings.workers,
            grace_seconds=settings.shutdown_grace_seconds,
            metrics_at=(settings.metrics_host, settings.product_metrics_port),
        )


@click.command()
def gateway() -> None:
    """Run gateway_api alone.

    Settings come from the environment; deploy/env/gateway_api.env.example lists them.
    """
    # Litestar imports advanced_alchemy, and so SQLAlchemy, wherever it is installed: half a second of CPU and much
    # memory for nothing here. A gateway host has neither; None, Python's mark of a missing module, does it here.
    sys.modules["advanced_alchemy"] = None  # type: ignore[assignment]
    with needs("gateway", "openai"), settings_explained():
        from b2b_chat.gateway.settings import GatewaySettings, check
        from b2b_chat.kit.settings import load

        settings = load(GatewaySettings, os.environ, check=check)
        _need_tracing(settings.otel_exporter_otlp_endpoint)
        _serve(
            "b2b_chat.gateway.app:create_app",
            app="gateway_api",
            host=settings.gateway_host,
            port=settings.gateway_port,
            workers=settings.workers,
            shares_port=settings.gateway_shares_port,
            grace_seconds=settings.shutdown_grace_seconds,
            metrics_at=(settings.metrics_host, settings.gateway_metrics_port),
        )


@click.command("openai-simulator")
@click.option("--host", envvar="OPENAI_SIMULATOR_HOST", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), envvar="OPENAI_SIMULATOR_PORT", default=_SIMULATOR_PORT)
def openai_simulator(host: str, port: int) -> None:
    """Run the simulated OpenAI alone.

    Settings come from the environment, for example OPENAI_SIMULATOR_SEED.
    """
    with needs("sandbox"), settings_explained():
        from b2b_chat.sandbox.openai_simulator.settings import settings_from

        settings_from(os.environ)
        _serve(
            "b2b_chat.sandbox.openai_simulator:create_app",
            app="openai_simulator",
            host=host,
            port=port,
            workers=1,
            grace_seconds=0,
        )


@click.command()
@click.argument("app", type=click.Choice(["product", "gateway"]))
def openapi(app: str) -> None:
    """Print an app's OpenAPI description."""
    import json

    with needs(app):
        if app == "gateway":
            from b2b_chat.gateway.app import openapi_schema

            schema = openapi_schema()
        else:
            from b2b_chat.product.app import create_litestar
            from b2b_chat.product.configuration import load_settings

            schema = create_litestar(load_settings(_STAND_INS)).openapi_schema.to_schema()
        click.echo(json.dumps(schema, indent=2))


@click.command("error-codes")
def error_codes() -> None:
    """Print the table of product_api's error codes."""
    with needs("product"):
        from b2b_chat.product.error_codes import table

        click.echo(table(), nl=False)


@click.command("env-example")
@click.argument("app", type=click.Choice(["product", "gateway", "migrations"]))
def env_example(app: str) -> None:
    """Print a settings file with every variable of an app."""
    with needs("gateway" if app == "gateway" else "product"):
        from b2b_chat.kit.settings import render_example

        if app == "gateway":
            from b2b_chat.gateway.settings import GatewaySettings

            click.echo(render_example(GatewaySettings), nl=False)
        else:
            from b2b_chat.product.database_settings import MigrationSettings
            from b2b_chat.product.settings import ProductSettings

            click.echo(render_example(ProductSettings if app == "product" else MigrationSettings), nl=False)


def _need_tracing(endpoint: str | None) -> None:
    """End the command if traces are configured and their packages are missing."""
    if endpoint is not None:
        with needs("otel", "opentelemetry"):
            pass


def _serve(
    factory: str,
    *,
    app: str,
    host: str,
    port: int,
    workers: int,
    shares_port: bool = False,
    grace_seconds: int,
    metrics_at: tuple[str, int] = ("", 0),
) -> None:
    """Serve an app until SIGTERM."""
    from b2b_chat.kit.serving import PortBusy, ensure_port_is_free, serve

    kill_after_seconds = grace_seconds + _AFTER_GRACE_SECONDS
    try:
        metrics_host, metrics_port = metrics_at
        for worker in range(workers if metrics_port and not shares_port else 0):
            ensure_port_is_free(metrics_host, metrics_port + worker)
        serve(
            factory,
            app=app,
            host=host,
            port=port,
            workers=workers,
            shares_port=shares_port,
            kill_after_seconds=kill_after_seconds,
        )
    except PortBusy as error:
        fail(str(error))


COMMANDS: Final = (product, gateway, openai_simulator, openapi, env_example, error_codes)
