"""The settings of gateway_api, and which of them production refuses."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from b2b_chat.kit.secret_quality import AcceptDevelopmentSecrets, public_secret_problems, secret_problems
from b2b_chat.kit.settings import Secret, is_on_this_host, listen_address_problem, load, url_problems
from b2b_chat.kit.valkey import (
    ValkeyCaFile,
    ValkeyMaxConnections,
    ValkeyTimeoutSeconds,
    ValkeyUrl,
    unsafe_valkey,
    valkey_problems,
)

_PLACEHOLDER_KEY = re.compile(r"change.?me|placeholder|example|your[-_ ]|\.\.\.|<", re.IGNORECASE)
_HEADER_VALUE = re.compile(r"[!-~]+")
_MIN_API_KEY_CHARACTERS: Final = 20


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """Every variable of gateway_api. Units are in the names."""

    app_env: Annotated[
        Literal["dev", "test", "prod"], Meta(description="prod refuses settings that are only fit for a laptop.")
    ] = "dev"
    accept_development_secrets: AcceptDevelopmentSecrets = False
    debug: Annotated[bool, Meta(description="Log at DEBUG, whatever LOG_LEVEL says. Off in prod.")] = False
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="The least level of a log line.")
    ] = "INFO"
    gateway_log_ids: Annotated[
        bool,
        Meta(
            description=(
                "Log the ids of company, user, conversation and message themselves; otherwise keyed hashes of them, so "
                "that a disk abroad does not tell who wrote when."
            )
        ),
    ] = False
    gateway_host: Annotated[str, Meta(description="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1"
    gateway_port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on.")] = 8001
    gateway_shares_port: Annotated[
        bool,
        Meta(
            description=(
                "Start beside a gateway that listens at the same port, and serve alone once that one ends: a release "
                "without a refused call. Needs VALKEY_URL."
            )
        ),
    ] = False
    metrics_host: Annotated[str, Meta(description="Address to serve metrics on; keep it from strangers.")] = "127.0.0.1"
    gateway_metrics_port: Annotated[
        int, Meta(ge=0, le=65_000, description="Port of /metrics, and for each further worker the next; 0 for none.")
    ] = 0
    readiness_cache_seconds: Annotated[
        float, Meta(ge=0, le=60, description="Seconds for which GET /ready repeats its last result.")
    ] = 1.0
    readiness_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Seconds that GET /ready waits for each of its checks.")
    ] = 2.0
    otel_exporter_otlp_endpoint: Annotated[
        str | None, Meta(description="Where traces go by OTLP over HTTP, as http://127.0.0.1:4318. None without it.")
    ] = None
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes. More than one share VALKEY_URL.")] = 1
    valkey_url: ValkeyUrl = None
    valkey_ca_file: ValkeyCaFile = None
    valkey_timeout_seconds: ValkeyTimeoutSeconds = 1.0
    valkey_max_connections: ValkeyMaxConnections = 64
    shutdown_grace_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds that running answers have to end after SIGTERM.")
    ] = 30

    gateway_shared_secret: Annotated[Secret, Meta(description="Signs the calls of product_api; the same value there.")]
    gateway_shared_secret_previous: Annotated[
        Secret | None, Meta(description="Also accepted, while the secret is being changed.")
    ] = None
    gateway_clock_skew_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds by which a call's timestamp may differ from our clock.")
    ] = 60
    gateway_nonce_ttl_seconds: Annotated[
        int, Meta(ge=2, le=86_400, description="Seconds a nonce is remembered; at least twice the clock skew.")
    ] = 180
    gateway_callers_ahead_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description=(
                "Without Valkey: how far a caller's clock may be ahead of ours. Calls signed before the process "
                "started, or up to so long after, are refused, and it begins to serve as much later"
            ),
        ),
    ] = 1.0
    gateway_nonce_capacity: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000_000,
            description="Nonces remembered at once, about 250 bytes each; when full: 503. Valkey has its own limit.",
        ),
    ] = 500_000
    gateway_max_body_bytes: Annotated[
        int, Meta(ge=1024, le=67_108_864, description="Bytes of the largest body accepted.")
    ] = 1_048_576

    gateway_body_timeout_seconds: Annotated[
        float, Meta(gt=0, le=300, description="Seconds in which a call's body must have arrived.")
    ] = 30.0
    gateway_max_unsigned_bytes: Annotated[
        int,
        Meta(
            ge=1024,
            le=17_179_869_184,
            description="Bytes of bodies held at once whose signature is not checked yet; beyond them: 503.",
        ),
    ] = 134_217_728

    gateway_idempotency_ttl_seconds: Annotated[
        int, Meta(ge=0, le=604_800, description="Seconds an answer is kept for calls that repeat it.")
    ] = 3600
    gateway_idempotency_max_bytes: Annotated[
        int, Meta(ge=0, le=17_179_869_184, description="Bytes of answers kept at most; the oldest goes first.")
    ] = 134_217_728

    gateway_in_flight_lease_seconds: Annotated[
        float,
        Meta(
            ge=0.5,
            le=300,
            description="Seconds after which the message of a worker that was killed may be asked for again.",
        ),
    ] = 4.0

    openai_api_key: Annotated[Secret, Meta(description="OpenAI's key; only this app has it.")]
    openai_base_url: Annotated[str, Meta(description="Where `/chat/completions` is; https unless on this machine.")] = (
        "https://api.openai.com/v1"
    )
    openai_fallback_base_url: Annotated[
        str | None, Meta(description="A second upstream for the same model, asked when the first fails. Needs its key.")
    ] = None
    openai_fallback_api_key: Annotated[Secret | None, Meta(description="The key of the second upstream.")] = None
    upstream_breaker_failures: Annotated[
        int, Meta(ge=1, le=1000, description="Failures in a row after which an upstream is left alone for a while.")
    ] = 5
    upstream_breaker_open_seconds: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds that a failing upstream is left alone; then one call probes it."),
    ] = 10.0
    upstream_connect_timeout_seconds: Annotated[
        float, Meta(gt=0, le=60, description="Seconds to reach OpenAI, TLS included, an attempt.")
    ] = 5.0
    upstream_lost_after_seconds: Annotated[
        int, Meta(ge=5, le=600, description="Seconds without an answer of OpenAI's machine after which a call ends.")
    ] = 50
    upstream_first_token_timeout_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds to a stream's first text, an attempt; the model thinks in it.")
    ] = 120.0
    upstream_first_token_timeout_with_fallback_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds to a stream's first text where another upstream can be asked instead.",
        ),
    ] = 15.0
    upstream_silence_timeout_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds without an event after a stream's first text.")
    ] = 60.0
    upstream_total_timeout_seconds: Annotated[
        float, Meta(gt=0, le=7200, description="Seconds for a whole call, all attempts and waits included.")
    ] = 600.0
    upstream_max_attempts: Annotated[
        int, Meta(ge=1, le=10, description="Attempts of a call, as long as no text has come.")
    ] = 3
    upstream_retry_base_seconds: Annotated[
        float, Meta(ge=0, le=60, description="Seconds of the longest wait before the second attempt; then doubling.")
    ] = 0.5
    upstream_retry_cap_seconds: Annotated[
        float, Meta(ge=0, le=300, description="Seconds of the longest wait; a longer Retry-After ends the call.")
    ] = 10.0
    upstream_max_connections: Annotated[
        int, Meta(ge=1, le=100_000, description="Calls under way at once in a process; one more is refused with 503.")
    ] = 1000
    upstream_company_share_percent: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Share of them that a company may have which is alone, percent; with others it gets less.",
        ),
    ] = 80
    stream_start_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Seconds in which a stream may fail with a status; then it begins, text or not.",
        ),
    ] = 1.0
    stream_flush_interval_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Milliseconds between two events of a stream; deltas that are closer share one. 0 joins only "
            "those that are ready together. The first is never kept back.",
        ),
    ] = 40
    sse_keep_alive_seconds: Annotated[
        float, Meta(gt=0, le=300, description="Seconds of silence on a stream after which a comment is sent.")
    ] = 15.0

    @property
    def accepted_secrets(self) -> list[bytes]:
        """The secrets that may sign a call, the current one first."""
        secrets = (self.gateway_shared_secret, self.gateway_shared_secret_previous)
        return [secret.reveal().encode() for secret in secrets if secret is not None]

    @property
    def api_keys(self) -> dict[str, Secret]:
        """The keys that go to OpenAI, by variable name."""
        keys = {"OPENAI_API_KEY": self.openai_api_key, "OPENAI_FALLBACK_API_KEY": self.openai_fallback_api_key}
        return {name: key for name, key in keys.items() if key is not None}


def load_settings(environ: Mapping[str, str] = os.environ) -> GatewaySettings:
    """Return the settings of this process.

    Raises:
        SettingsError: Variables are missing, wrong, or unsafe for production.
    """
    return load(GatewaySettings, environ, check=check)


def check(settings: GatewaySettings) -> Iterator[str]:
    """Yield the problems that no single variable shows. Each names its variable and never a secret."""
    if settings.gateway_nonce_ttl_seconds < 2 * settings.gateway_clock_skew_seconds:
        yield (
            "GATEWAY_NONCE_TTL_SECONDS must be at least twice GATEWAY_CLOCK_SKEW_SECONDS: a call stays valid for so "
            "long after its nonce was seen."
        )
    yield from valkey_problems(settings)
    if settings.gateway_shares_port and settings.valkey_url is None:
        yield "GATEWAY_SHARES_PORT needs VALKEY_URL: two gateways without a common memory admit a recorded call twice."
    hosts = {"GATEWAY_HOST": settings.gateway_host, "METRICS_HOST": settings.metrics_host}
    yield from filter(None, (listen_address_problem(name, host) for name, host in hosts.items()))
    for name, key in settings.api_keys.items():
        if not _HEADER_VALUE.fullmatch(key.reveal()):
            yield f"{name} holds a space or another character that cannot stand in a header."
    is_prod = settings.app_env == "prod"
    upstreams = {
        "OPENAI_BASE_URL": settings.openai_base_url,
        "OPENAI_FALLBACK_BASE_URL": settings.openai_fallback_base_url,
    }
    yield from url_problems(upstreams, needs_tls=is_prod)
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": settings.otel_exporter_otlp_endpoint}
    yield from url_problems(collector, needs_tls=is_prod, is_near=is_on_this_host)
    if (settings.openai_fallback_base_url is None) != (settings.openai_fallback_api_key is None):
        yield "OPENAI_FALLBACK_BASE_URL and OPENAI_FALLBACK_API_KEY go together; set both or none."
    if is_prod:
        yield from _prod_problems(settings)
    elif not settings.accept_development_secrets:
        yield from public_secret_problems(_shared_secrets(settings), reached_by={"GATEWAY_HOST": settings.gateway_host})


def _shared_secrets(settings: GatewaySettings) -> dict[str, Secret | None]:
    return {
        "GATEWAY_SHARED_SECRET": settings.gateway_shared_secret,
        "GATEWAY_SHARED_SECRET_PREVIOUS": settings.gateway_shared_secret_previous,
    }


def _prod_problems(settings: GatewaySettings) -> Iterator[str]:
    if settings.debug or settings.log_level == "DEBUG":
        yield "DEBUG and LOG_LEVEL=DEBUG are refused in production."
    yield from unsafe_valkey(settings)
    yield from secret_problems(_shared_secrets(settings))
    if settings.accept_development_secrets:
        yield "ACCEPT_DEVELOPMENT_SECRETS is refused in production."
    # OpenAI chooses the form of its keys, so the rules for our own secrets would refuse good ones.
    for name, key in settings.api_keys.items():
        if len(key.reveal()) < _MIN_API_KEY_CHARACTERS or _PLACEHOLDER_KEY.search(key.reveal()):
            yield f"{name} looks like a placeholder."
        if key in {settings.gateway_shared_secret, settings.gateway_shared_secret_previous}:
            yield f"{name} is the same as a shared secret; every secret must be its own."
