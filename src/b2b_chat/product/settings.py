"""The settings of product_api, by environment variable."""

import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from b2b_chat.kit.settings import Secret, load, secret_problems


class ProductSettings(Struct, frozen=True):
    """Everything that product_api can be told. Names of variables are the fields' names in capitals."""

    database_url: Annotated[Secret, Meta(description="PostgreSQL, as postgresql://user:password@host:5432/name")]
    gateway_shared_secret: Annotated[Secret, Meta(description="Signs calls to gateway_api; the same value there")]

    app_env: Annotated[Literal["dev", "test", "prod"], Meta(description="prod refuses unsafe settings")] = "dev"
    debug: Annotated[bool, Meta(description="Log at DEBUG; refused in prod")] = False
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least severe level that is logged")
    ] = "INFO"
    product_host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    product_port: Annotated[int, Meta(ge=0, le=65535, description="TCP port to listen on")] = 8000
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes; more than one needs shared state")] = 1
    max_body_bytes: Annotated[int, Meta(ge=1024, le=16_777_216, description="Largest request body, bytes")] = 1_048_576
    shutdown_grace_seconds: Annotated[
        int, Meta(ge=0, le=600, description="How long running answers may finish after SIGTERM, seconds")
    ] = 25

    database_pool_size: Annotated[int, Meta(ge=1, le=500, description="Connections for chats, per process")] = 16
    database_session_pool_size: Annotated[
        int, Meta(ge=1, le=500, description="Connections for everything else, per process")
    ] = 4
    database_acquire_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest wait for a connection, seconds")
    ] = 5.0
    database_statement_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="Longest run of a statement, seconds")
    ] = 10.0

    gateway_url: Annotated[str, Meta(min_length=1, description="Base URL of gateway_api")] = "http://127.0.0.1:8001"
    gateway_connect_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest wait for a connection to the gateway, seconds")
    ] = 5.0
    gateway_silence_timeout_seconds: Annotated[
        float, Meta(ge=1, le=600, description="Longest silence of the gateway; it sends a comment every 15 s, seconds")
    ] = 150.0
    gateway_total_timeout_seconds: Annotated[float, Meta(ge=1, le=3600, description="Longest answer, seconds")] = 330.0
    gateway_max_connections: Annotated[
        int, Meta(ge=1, le=20_000, description="Connections to the gateway, per process")
    ] = 4096

    chat_context_limit: Annotated[
        int, Meta(ge=0, le=500, description="Completed messages sent along with a new one")
    ] = 20
    max_message_chars: Annotated[int, Meta(ge=1, le=1_000_000, description="Longest message, characters")] = 8000
    chat_max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000, description="Longest answer, tokens")] = 4096
    chat_min_completion_tokens: Annotated[
        int, Meta(ge=1, le=10_000, description="Answer length granted even on the last credits, tokens")
    ] = 16
    chat_resume_window_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How long a run goes on without a reader; 0 ends it at once, seconds")
    ] = 0.0
    chat_lease_seconds: Annotated[
        float, Meta(ge=1, le=600, description="A run whose process is silent so long is given up, seconds")
    ] = 30.0
    sse_keep_alive_seconds: Annotated[
        float, Meta(ge=1, le=300, description="Silence after which a stream sends a comment, seconds")
    ] = 15.0
    price_prompt_credits_per_1k_tokens: Annotated[
        Decimal, Meta(ge=0, le=1_000_000, description="Price of 1,000 prompt tokens, credits")
    ] = Decimal("0.2")
    price_completion_credits_per_1k_tokens: Annotated[
        Decimal, Meta(ge=0.000001, le=1_000_000, description="Price of 1,000 completion tokens, credits")
    ] = Decimal("1.6")

    openai_api_key: Annotated[
        Secret | None, Meta(description="Must not be set here in prod: only the gateway holds OpenAI's key")
    ] = None


def load_settings(environ: Mapping[str, str] = os.environ) -> ProductSettings:
    """The settings of this process.

    Raises:
        SettingsError: Variables are missing, wrong, or unsafe for production.
    """
    return load(ProductSettings, environ, check=check)


def check(settings: ProductSettings) -> Iterator[str]:
    """What no single variable shows."""
    if settings.workers > 1:
        yield "WORKERS must be 1: more than one process needs shared state, which this release does not have."
    if not settings.gateway_url.startswith(("http://", "https://")):
        yield "GATEWAY_URL must start with http:// or https://."
    if settings.app_env == "prod":
        yield from _unsafe_in_production(settings)


def _unsafe_in_production(settings: ProductSettings) -> Iterator[str]:
    yield from secret_problems({"GATEWAY_SHARED_SECRET": settings.gateway_shared_secret})
    if settings.openai_api_key is not None:
        yield "OPENAI_API_KEY must not be set on the product server. Only the gateway may hold it."
    if settings.debug or settings.log_level == "DEBUG":
        yield "DEBUG and LOG_LEVEL=DEBUG are refused in production."
