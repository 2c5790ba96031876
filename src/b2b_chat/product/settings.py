"""The settings of product_api, by environment variable."""

from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta

from b2b_chat.kit.secret_quality import AcceptDevelopmentSecrets
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import (
    ValkeyCaFile,
    ValkeyMaxConnections,
    ValkeyTimeoutSeconds,
    ValkeyUrl,
)
from b2b_chat.product.completion_settings import CompletionSettings
from b2b_chat.product.database_settings import PGBOUNCER, MigrationLockTimeoutSeconds

_BEATS_UNTIL_GONE: Final = 4


class ProductSettings(CompletionSettings, frozen=True):
    """Every setting of product_api, with those of its parts. A variable is its field's name in capitals."""

    database_url: Annotated[Secret, Meta(description="PostgreSQL, as postgresql://user:password@host:5432/name")]
    gateway_shared_secret: Annotated[Secret, Meta(description="Signs calls to gateway_api; the same value there")]
    session_secret: Annotated[Secret, Meta(description="Keys the hashes of session cookies")]
    auth_token_secret: Annotated[
        Secret, Meta(description="Keys the hashes of login links and codes, and encrypts mails that wait")
    ]
    invite_token_secret: Annotated[Secret, Meta(description="Keys the hashes of invite links")]

    session_secret_previous: Annotated[
        Secret | None, Meta(description="SESSION_SECRET before its rotation; its sessions go on")
    ] = None
    auth_token_secret_previous: Annotated[
        Secret | None, Meta(description="AUTH_TOKEN_SECRET before its rotation; its links, codes and mails go on")
    ] = None
    invite_token_secret_previous: Annotated[
        Secret | None, Meta(description="INVITE_TOKEN_SECRET before its rotation; its invites go on")
    ] = None

    app_env: Annotated[Literal["dev", "test", "prod"], Meta(description="prod refuses unsafe settings")] = "dev"
    accept_development_secrets: AcceptDevelopmentSecrets = False
    debug: Annotated[bool, Meta(description="Log at DEBUG; refused in prod")] = False
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least severe level that is logged")
    ] = "INFO"
    product_host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    product_port: Annotated[int, Meta(ge=0, le=65535, description="TCP port to listen on")] = 8000
    metrics_host: Annotated[str, Meta(description="Address to show metrics on; keep it from strangers")] = "127.0.0.1"
    product_metrics_port: Annotated[
        int, Meta(ge=0, le=65_000, description="Port of /metrics, and for each further worker the next; 0 for none")
    ] = 0
    readiness_cache_seconds: Annotated[
        float, Meta(ge=0, le=60, description="How long GET /ready repeats what it found, seconds")
    ] = 1.0
    readiness_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest wait for a part that GET /ready asks, seconds")
    ] = 2.0
    readiness_write_every_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How long GET /ready takes it that the database has room, seconds")
    ] = 15.0
    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        Meta(description="Where traces go by OTLP over HTTP, as http://127.0.0.1:4318; none without"),
    ] = None
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes; more than one share VALKEY_URL")] = 1
    valkey_url: ValkeyUrl = None
    valkey_ca_file: ValkeyCaFile = None
    valkey_timeout_seconds: ValkeyTimeoutSeconds = 1.0
    valkey_max_connections: ValkeyMaxConnections = 64
    max_body_bytes: Annotated[
        int,
        Meta(ge=1024, le=16_777_216, description="Largest request body of a message, or of a list for masking, bytes"),
    ] = 1_048_576
    max_small_body_bytes: Annotated[
        int, Meta(ge=4096, le=1_048_576, description="Largest request body of everything else, bytes")
    ] = 65_536
    max_login_body_bytes: Annotated[
        int, Meta(ge=1024, le=65_536, description="Largest request body of signing in, which strangers send, bytes")
    ] = 4096
    shutdown_grace_seconds: Annotated[
        int, Meta(ge=0, le=600, description="How long running answers may finish after SIGTERM, seconds")
    ] = 25

    chat_rpm_per_company: Annotated[int, Meta(ge=1, le=10_000_000, description="Chats of a company, per minute")] = 600
    chat_rpm_per_user: Annotated[int, Meta(ge=1, le=10_000_000, description="Chats of a user, per minute")] = 60
    chat_rpm_per_ip: Annotated[int, Meta(ge=1, le=10_000_000, description="Chats from an IP, per minute")] = 300
    chat_local_limit_percent: Annotated[
        int,
        Meta(ge=1, le=100, description="Share of the chat limits that a process admits while Valkey is away, percent"),
    ] = 10
    chat_admissions_at_once: Annotated[
        int, Meta(ge=1, le=500, description="Messages that a process admits at once; companies wait in turn")
    ] = 12
    chat_settlements_at_once: Annotated[
        int, Meta(ge=1, le=500, description="Answers whose end a process stores at once; companies wait in turn")
    ] = 8
    read_rpm_per_company: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Requests of a company that read, per minute")
    ] = 6000
    read_rpm_per_user: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Requests of a user that read, per minute")
    ] = 600
    masking_preview_rpm_per_user: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Previews of masking that a process makes for a user, per minute")
    ] = 300
    masking_cached_companies: Annotated[
        int, Meta(ge=1, le=100_000, description="Companies whose lists for masking a process keeps in memory")
    ] = 500

    database_pgbouncer: Annotated[bool, Meta(description=PGBOUNCER)] = False
    database_pool_size: Annotated[int, Meta(ge=1, le=500, description="Connections for chats, per process")] = 16
    database_session_pool_size: Annotated[
        int, Meta(ge=1, le=500, description="Connections for everything else, per process")
    ] = 4
    database_login_pool_size: Annotated[
        int, Meta(ge=1, le=500, description="Connections for signing in and for GET /ready alone, per process")
    ] = 4
    database_reading_pool_size: Annotated[
        int, Meta(ge=1, le=500, description="Connections for searches, exports and reports, per process")
    ] = 2
    database_reading_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="Longest run of a statement of those, seconds")
    ] = 2.0
    database_acquire_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest wait for a connection, seconds")
    ] = 5.0
    database_statement_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="Longest run of a statement, seconds")
    ] = 10.0

    migrations_database_url: Annotated[
        Secret | None,
        Meta(description="Must not be set here in prod: only b2b-chat migrate, backup and restore act as the owner"),
    ] = None
    migration_lock_timeout_seconds: MigrationLockTimeoutSeconds = 3.0

    gateway_url: Annotated[str, Meta(min_length=1, description="Base URL of gateway_api")] = "http://127.0.0.1:8001"
    gateway_connect_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest wait for a connection to the gateway, seconds")
    ] = 5.0
    gateway_lost_after_seconds: Annotated[
        int, Meta(ge=5, le=600, description="Silence of the gateway's machine that ends a call, seconds")
    ] = 50
    gateway_silence_timeout_seconds: Annotated[
        float,
        Meta(ge=1, le=600, description="Longest silence on a stream; the gateway sends a comment every 15 s, seconds"),
    ] = 60.0
    gateway_total_timeout_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="Longest answer; more than the gateway takes, seconds")
    ] = 630.0
    gateway_in_flight_wait_seconds: Annotated[
        float, Meta(ge=0, le=60, description="Longest wait for an earlier call for the same message to end, seconds")
    ] = 5.0
    gateway_restart_wait_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="Longest wait for a gateway that refuses connections or is shutting down, seconds",
        ),
    ] = 10.0
    gateway_max_connections: Annotated[
        int, Meta(ge=1, le=20_000, description="Connections to the gateway, per process")
    ] = 4096
    gateway_company_share_percent: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Share of them that a company may have which is alone, percent; with others it gets less",
        ),
    ] = 80

    chat_context_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=500,
            description="Earlier messages sent along with a new one: questions with their answers, the last ones",
        ),
    ] = 20
    chat_context_max_tokens: Annotated[
        int,
        Meta(
            ge=1000,
            le=1_000_000,
            description="Longest message with its context, about, tokens; the oldest exchanges are left out first",
        ),
    ] = 200_000
    chat_request_max_bytes: Annotated[
        int,
        Meta(
            ge=4096,
            le=67_108_864,
            description="Largest request to the gateway, bytes; no more than its GATEWAY_MAX_BODY_BYTES",
        ),
    ] = 1_048_576
    max_message_chars: Annotated[int, Meta(ge=1, le=1_000_000, description="Longest message, characters")] = 8000
    chat_max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000, description="Longest answer, tokens")] = 4096
    chat_min_completion_tokens: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Shortest useful answer, tokens; a balance that does not cover it is refused",
        ),
    ] = 256
    chat_usual_completion_tokens: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Presumed length of an answer of a company that has had too few to measure, tokens",
        ),
    ] = 1024
    chat_hold_percent: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Share of a company's free credits that an answer may hold beyond what its answers usually "
            "cost, percent",
        ),
    ] = 20
    chat_user_hold_percent: Annotated[
        int,
        Meta(ge=1, le=100, description="Share of a company's balance that a member's open answers may hold, percent"),
    ] = 50
    chat_open_answers_per_user: Annotated[
        int, Meta(ge=1, le=10_000, description="Answers of a user that are being written at once")
    ] = 8
    chat_resume_window_seconds: Annotated[
        float | None,
        Meta(
            ge=0,
            le=3600,
            description="How long an answer goes on without a reader, seconds; 0 ends it at once; unset, never",
        ),
    ] = None
    chat_max_restarts: Annotated[
        int,
        Meta(ge=0, le=5, description="How often an answer that breaks off is begun anew by itself; 0 for never"),
    ] = 2
    chat_lease_seconds: Annotated[
        float, Meta(ge=1, le=600, description="A run whose process is silent so long is given up, seconds")
    ] = 30.0
    relay_heartbeat_seconds: Annotated[
        float,
        Meta(
            ge=0.05,
            le=60,
            description="How often a process reports to those that share its runs that it is alive, seconds",
        ),
    ] = 2.0
    relay_ask_timeout_seconds: Annotated[
        float, Meta(ge=0.05, le=30, description="Longest wait for the process that writes a run to answer, seconds")
    ] = 1.0
    relay_unheard_chars: Annotated[
        int, Meta(ge=1024, le=16_777_216, description="Text on its way to a process that follows a run, characters")
    ] = 65_536
    sse_keep_alive_seconds: Annotated[
        float, Meta(ge=1, le=300, description="Silence after which a stream sends a comment, seconds")
    ] = 15.0
    sse_begin_within_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="How long a stream may wait for its first text, so that a failure before it has a status, "
            "seconds",
        ),
    ] = 1.0
    sse_retry_milliseconds: Annotated[
        int, Meta(ge=1, le=60_000, description="After how long a stream's reader shall reconnect, milliseconds")
    ] = 1000
    price_prompt_credits_per_1k_tokens: Annotated[
        Decimal, Meta(ge=0, le=1_000_000, description="Price of 1,000 prompt tokens, credits")
    ] = Decimal("0.2")
    price_completion_credits_per_1k_tokens: Annotated[
        Decimal, Meta(ge=0.000001, le=1_000_000, description="Price of 1,000 completion tokens, credits")
    ] = Decimal("1.6")

    openai_api_key: Annotated[
        Secret | None, Meta(description="Must not be set here in prod: only the gateway holds OpenAI's key")
    ] = None

    @property
    def operators_need_second_factor(self) -> bool:
        """Whether operators are asked for a second factor: always in production."""
        return self.app_env == "prod" or bool(self.operator_second_factor)

    @property
    def relay_gone_seconds(self) -> float:
        """How long a process must be silent to be presumed dead, seconds."""
        return _BEATS_UNTIL_GONE * self.relay_heartbeat_seconds
