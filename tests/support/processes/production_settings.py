"""Good production settings of both apps, and every way in which one of them can be bad."""

from pathlib import Path
from typing import Final, NamedTuple

CANARY: Final = "canary-7f3e"
"""In every value that is text of one's own, to be looked for in what is printed."""

SHARED_SECRET: Final = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
SESSION_SECRET: Final = "6e0c7a52d9f14b3c8b1f5a90c4d72e18"
OTHER_SECRET: Final = "4be81f6a0d3c4c97a25e6d07f81b93ca"
OPENAI_KEY: Final = "sk-proj-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6"

PRODUCT: Final = {
    "APP_ENV": "prod",
    "DATABASE_URL": "postgresql://chat:Vq7pLw2nXe@db.chat.test/chat?sslmode=verify-full",
    "GATEWAY_SHARED_SECRET": SHARED_SECRET,
    "SESSION_SECRET": SESSION_SECRET,
    "AUTH_TOKEN_SECRET": "a83f1c6d07e24f9bb5c2d94e60718f3a",
    "INVITE_TOKEN_SECRET": "d1975be80c3a4f62a7e4f0b3952c6d81",
    "COOKIE_SECURE": "true",
    "COOKIE_SAMESITE": "strict",
    "PUBLIC_URL": "https://chat.test",
    "GATEWAY_URL": "https://gateway.chat.test",
    "EMAIL_FROM": "chat@chat.test",
    "SMTP_HOST": "smtp.chat.test",
    "SMTP_USER": "chat",
    "SMTP_PASSWORD": "Jx4cTz9kQa",
}
GATEWAY: Final = {"APP_ENV": "prod", "GATEWAY_SHARED_SECRET": SHARED_SECRET, "OPENAI_API_KEY": OPENAI_KEY}


class Bad(NamedTuple):
    """One bad configuration: what differs from a good one, and the variable that must be named."""

    changes: dict[str, str]
    variable: str

    @property
    def id(self) -> str:
        """The test's name."""
        return ",".join(f"{name}={value[:60]!r}" for name, value in self.changes.items())

    def environ(self, good: dict[str, str], folder: Path) -> dict[str, str]:
        """The whole environment; a change to "" takes a variable away."""
        (folder / "empty").write_text("\n")
        (folder / "key").write_text(f"{CANARY}-{OTHER_SECRET}\n")
        (folder / "binary").write_bytes(b"\xff\xfe\x00")
        found = {name: str(folder / value) for name, value in self.changes.items() if name.endswith("_FILE")}
        return {name: value for name, value in (good | self.changes | found).items() if value}

    def is_told_by(self, text: str) -> bool:
        """Whether a line of it begins with the variable."""
        words = [line.removeprefix("b2b-chat: ").split(maxsplit=1)[0] for line in text.splitlines() if line.strip()]
        return bool({self.variable, f"{self.variable}_FILE"} & set(words))

    def leaks_in(self, text: str) -> list[str]:
        """The values of one's own that are in it: those with the canary, and every secret."""
        secrets = {SHARED_SECRET, SESSION_SECRET, OTHER_SECRET, OPENAI_KEY, CANARY}
        return [value for value in secrets if value in text]


def _bad_secrets(*names: str) -> list[Bad]:
    """What no secret may be."""
    values = (
        CANARY,  # short
        f"change-me-{CANARY}-0a1b2c3d4e5f6a7b8c9d",
        f"your-secret-goes-here-{CANARY}-0a1b2c3d",
        "a" * 64,
        "abcdabcd" * 8,
        "abcdefgh" * 4,
        "abcdefghijklmnopqrstuvwxyz012345",
        "0123456789" * 4,
        "aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpP",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "hunter2" * 5,
        f"{CANARY}-3b9f72d4c16e4f0aa5d81c3be2967f04 ",
        f" {CANARY}-3b9f72d4c16e4f0aa5d81c3be2967f04",
    )
    return [Bad({name: value}, name) for name in names for value in values]


def _bad_numbers(*names: str) -> list[Bad]:
    return [Bad({name: value}, name) for name in names for value in ("-1", "many", "1e99", "0x10", "1 000")]


def _bad_urls(name: str) -> list[Bad]:
    values = (
        f"http://{CANARY}.test",
        f"http://10.0.0.1/{CANARY}",
        f"ftp://{CANARY}.test",
        f"{CANARY}.test",
        "https://",
        f"https://{CANARY}.test:port",
        f"https://user:{CANARY}@chat.test",
        f"https://chat.test/?key={CANARY}",
        f"https://chat.test/#{CANARY}",
        "https://chat.example.com",
        "https://host.invalid",
    )
    return [Bad({name: value}, name) for value in values]


_BAD_EVERYWHERE: Final = [
    Bad({"GATEWAY_SHARED_SECRET": ""}, "GATEWAY_SHARED_SECRET"),
    Bad({"GATEWAY_SHARED_SECRET": "", "GATEWAY_SHARED_SECRET_FILE": "missing"}, "GATEWAY_SHARED_SECRET"),
    Bad({"GATEWAY_SHARED_SECRET": "", "GATEWAY_SHARED_SECRET_FILE": "empty"}, "GATEWAY_SHARED_SECRET"),
    Bad({"GATEWAY_SHARED_SECRET": "", "GATEWAY_SHARED_SECRET_FILE": "binary"}, "GATEWAY_SHARED_SECRET"),
    Bad({"GATEWAY_SHARED_SECRET_FILE": "key"}, "GATEWAY_SHARED_SECRET"),
    Bad({"APP_ENV": "production"}, "APP_ENV"),
    Bad({"APP_ENV": "PROD"}, "APP_ENV"),
    Bad({"DEBUG": "true"}, "DEBUG"),
    Bad({"DEBUG": "maybe"}, "DEBUG"),
    Bad({"LOG_LEVEL": "DEBUG"}, "DEBUG"),
    Bad({"LOG_LEVEL": CANARY}, "LOG_LEVEL"),
    Bad({"WORKERS": "2"}, "VALKEY_URL"),
    Bad({"VALKEY_URL": f"valkey://:{CANARY}@10.1.2.3:6379/0"}, "VALKEY_URL"),
    Bad({"VALKEY_URL": f"redis://:{CANARY}@valkey.chat.test"}, "VALKEY_URL"),
    Bad({"VALKEY_URL": f"valkeys://:{CANARY}@valkey.example.com"}, "VALKEY_URL"),
    Bad({"VALKEY_URL": f"valkey://:changeme-{CANARY}@127.0.0.1"}, "VALKEY_URL"),
    Bad({"VALKEY_URL": f"https://{CANARY}.test"}, "VALKEY_URL"),
    Bad({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{CANARY}.chat.test:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Bad({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.1.2.3:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Bad({"ACCEPT_DEVELOPMENT_SECRETS": "true"}, "ACCEPT_DEVELOPMENT_SECRETS"),
    Bad({"WORKERS": "65"}, "WORKERS"),
    Bad({"WORKERS": "0"}, "WORKERS"),
]

BAD_PRODUCT: Final = [
    *_BAD_EVERYWHERE,
    *_bad_secrets("GATEWAY_SHARED_SECRET", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET"),
    *_bad_secrets("SESSION_SECRET_PREVIOUS"),
    *(Bad({name: ""}, name) for name in ("DATABASE_URL", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")),
    Bad({"SESSION_SECRET": SHARED_SECRET}, "SESSION_SECRET"),
    Bad({"SESSION_SECRET_PREVIOUS": SESSION_SECRET}, "SESSION_SECRET_PREVIOUS"),
    Bad({"AUTH_TOKEN_SECRET_PREVIOUS": SHARED_SECRET}, "AUTH_TOKEN_SECRET_PREVIOUS"),
    Bad({"OPENAI_API_KEY": OPENAI_KEY}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY_FILE": "key"}, "OPENAI_API_KEY"),
    *_bad_urls("PUBLIC_URL"),
    *_bad_urls("GATEWAY_URL"),
    Bad({"PUBLIC_URL": "http://127.0.0.1:8000"}, "PUBLIC_URL"),
    Bad({"COOKIE_SECURE": "false"}, "COOKIE_SECURE"),
    Bad({"COOKIE_SECURE": "yes please"}, "COOKIE_SECURE"),
    Bad({"COOKIE_SAMESITE": "none"}, "COOKIE_SAMESITE"),
    Bad({"COOKIE_SAMESITE": CANARY}, "COOKIE_SAMESITE"),
    Bad({"OPERATOR_SECOND_FACTOR": "false"}, "OPERATOR_SECOND_FACTOR"),
    Bad({"OPERATOR_NETWORKS": ","}, "OPERATOR_NETWORKS"),
    Bad({"OPERATOR_NETWORKS": CANARY}, "OPERATOR_NETWORKS"),
    Bad({"SMTP_HOST": ""}, "SMTP_HOST"),
    Bad({"EMAIL_FROM": ""}, "EMAIL_FROM"),
    Bad({"SMTP_USER": ""}, "SMTP_USER"),
    Bad({"SMTP_PASSWORD": ""}, "SMTP_PASSWORD"),
    Bad({"SMTP_PASSWORD_FILE": "key"}, "SMTP_PASSWORD"),
    Bad({"SMTP_PASSWORD": "", "SMTP_PASSWORD_FILE": "missing"}, "SMTP_PASSWORD"),
    Bad({"SMTP_USE_TLS": "false"}, "SMTP_USE_TLS"),
    Bad({"SMTP_USE_TLS": "false", "SMTP_USER": "", "SMTP_PASSWORD": ""}, "SMTP_USE_TLS"),
    Bad({"SMTP_HOST": "smtp.example.com"}, "SMTP_HOST"),
    Bad({"EMAIL_FROM": "Chat <chat@example.org>"}, "EMAIL_FROM"),
    Bad({"EMAIL_FROM": CANARY}, "EMAIL_FROM"),
    Bad({"SMTP_CA_FILE": "missing"}, "SMTP_CA_FILE"),
    Bad({"SMTP_CA_FILE": "key"}, "SMTP_CA_FILE"),
    Bad({"SMTP_PORT": "65536"}, "SMTP_PORT"),
    Bad({"TRUSTED_PROXIES": f"10.0.0.0/8, {CANARY}"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "10.0.0.0/8, 0.0.0.0/0"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "0.0.0.0/1"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": ",".join(f"{n}.0.0.0/8" for n in range(256))}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "::ffff:0.0.0.0/96"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "::ffff:0.0.0.0/97, 128.0.0.0/1"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "::ffff:0:0/80"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "2000::/3"}, "TRUSTED_PROXIES"),
    Bad({"TRUSTED_PROXIES": "::/1, 8000::/1"}, "TRUSTED_PROXIES"),
    Bad({"DATABASE_URL": f"mysql://{CANARY}@localhost/chat"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": CANARY}, "DATABASE_URL"),
    Bad({"DATABASE_URL": f"postgresql://chat:{CANARY}@db.chat.test/chat"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": f"postgresql://chat:{CANARY}@db.chat.test/chat?sslmode=prefer"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": f"postgresql://chat:{CANARY}@10.1.2.3/chat?sslmode=disable"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": f"postgresql://chat:password-{CANARY}@localhost/chat"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": f"postgresql://chat:{CANARY}@db.example.com/chat?sslmode=require"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": "postgresql://chat@db.chat.test/chat?sslmode=verify-full"}, "DATABASE_URL"),
    Bad({"DATABASE_URL": "postgresql://chat@postgres:5432/chat"}, "DATABASE_URL"),
    Bad({"MIGRATIONS_DATABASE_URL": f"postgresql://owner:{CANARY}@postgres/chat"}, "MIGRATIONS_DATABASE_URL"),
    Bad({"PRODUCT_HOST": CANARY}, "PRODUCT_HOST"),
    Bad({"METRICS_HOST": CANARY}, "METRICS_HOST"),
    Bad({"PRODUCT_METRICS_PORT": "65536"}, "PRODUCT_METRICS_PORT"),
    Bad({"READINESS_CACHE_SECONDS": "-1"}, "READINESS_CACHE_SECONDS"),
    Bad({"READINESS_TIMEOUT_SECONDS": "0"}, "READINESS_TIMEOUT_SECONDS"),
    Bad({"OTEL_EXPORTER_OTLP_ENDPOINT": CANARY}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *_bad_numbers("PRODUCT_PORT", "MAX_MESSAGE_CHARS", "DATABASE_POOL_SIZE", "CHAT_RPM_PER_COMPANY"),
    Bad({"PRICE_COMPLETION_CREDITS_PER_1K_TOKENS": "0"}, "PRICE_COMPLETION_CREDITS_PER_1K_TOKENS"),
    Bad({"PRICE_PROMPT_CREDITS_PER_1K_TOKENS": "NaN"}, "PRICE_PROMPT_CREDITS_PER_1K_TOKENS"),
    Bad({"CHAT_LEASE_SECONDS": "Infinity"}, "CHAT_LEASE_SECONDS"),
    Bad({"LOGIN_LIFETIME_SECONDS": "3601"}, "LOGIN_LIFETIME_SECONDS"),
]

BAD_GATEWAY: Final = [
    *_BAD_EVERYWHERE,
    *_bad_secrets("GATEWAY_SHARED_SECRET", "GATEWAY_SHARED_SECRET_PREVIOUS"),
    Bad({"GATEWAY_SHARED_SECRET_PREVIOUS": SHARED_SECRET}, "GATEWAY_SHARED_SECRET_PREVIOUS"),
    Bad({"GATEWAY_SHARED_SECRET_PREVIOUS_FILE": "missing"}, "GATEWAY_SHARED_SECRET_PREVIOUS"),
    Bad({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": f"sk-{CANARY}"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": f"sk-your-key-{CANARY}-0123456789"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": f"<the key {CANARY}>"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": f"sk-ключ-{CANARY}-0123456789"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": SHARED_SECRET}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": OTHER_SECRET, "GATEWAY_SHARED_SECRET_PREVIOUS": OTHER_SECRET}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY_FILE": "key"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": "", "OPENAI_API_KEY_FILE": "missing"}, "OPENAI_API_KEY"),
    Bad({"OPENAI_API_KEY": "", "OPENAI_API_KEY_FILE": "empty"}, "OPENAI_API_KEY"),
    *_bad_urls("OPENAI_BASE_URL"),
    Bad({"OPENAI_FALLBACK_BASE_URL": "https://eu.chat.test/v1"}, "OPENAI_FALLBACK_BASE_URL"),
    Bad({"OPENAI_FALLBACK_API_KEY": f"{CANARY}-{OTHER_SECRET}"}, "OPENAI_FALLBACK_BASE_URL"),
    Bad(
        {"OPENAI_FALLBACK_BASE_URL": f"http://{CANARY}.test/v1", "OPENAI_FALLBACK_API_KEY": OTHER_SECRET},
        "OPENAI_FALLBACK_BASE_URL",
    ),
    Bad(
        {"OPENAI_FALLBACK_BASE_URL": "https://eu.chat.test/v1", "OPENAI_FALLBACK_API_KEY": CANARY},
        "OPENAI_FALLBACK_API_KEY",
    ),
    Bad({"GATEWAY_NONCE_TTL_SECONDS": "119"}, "GATEWAY_NONCE_TTL_SECONDS"),
    Bad({"GATEWAY_CLOCK_SKEW_SECONDS": "91"}, "GATEWAY_NONCE_TTL_SECONDS"),
    Bad({"GATEWAY_CLOCK_SKEW_SECONDS": "3601"}, "GATEWAY_CLOCK_SKEW_SECONDS"),
    Bad({"GATEWAY_HOST": CANARY}, "GATEWAY_HOST"),
    Bad({"METRICS_HOST": CANARY}, "METRICS_HOST"),
    Bad({"GATEWAY_METRICS_PORT": "65536"}, "GATEWAY_METRICS_PORT"),
    Bad({"READINESS_CACHE_SECONDS": "-1"}, "READINESS_CACHE_SECONDS"),
    Bad({"READINESS_TIMEOUT_SECONDS": "0"}, "READINESS_TIMEOUT_SECONDS"),
    Bad({"OTEL_EXPORTER_OTLP_ENDPOINT": CANARY}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Bad({"GATEWAY_HOST": "256.0.0.1"}, "GATEWAY_HOST"),
    *_bad_numbers("GATEWAY_PORT", "GATEWAY_CLOCK_SKEW_SECONDS", "UPSTREAM_MAX_ATTEMPTS", "GATEWAY_MAX_BODY_BYTES"),
    Bad({"UPSTREAM_TOTAL_TIMEOUT_SECONDS": "Infinity"}, "UPSTREAM_TOTAL_TIMEOUT_SECONDS"),
    Bad({"UPSTREAM_CONNECT_TIMEOUT_SECONDS": "nan"}, "UPSTREAM_CONNECT_TIMEOUT_SECONDS"),
]

BAD_VALKEY: Final = [
    ({"WORKERS": "2"}, "VALKEY_URL"),
    ({"VALKEY_URL": "http://cache.internal"}, "VALKEY_URL"),
    ({"VALKEY_URL": "valkey://"}, "VALKEY_URL"),
    ({"VALKEY_URL": "valkey://cache.internal/zero"}, "VALKEY_URL"),
    ({"VALKEY_URL": "valkey://cache.internal:none/0"}, "VALKEY_URL"),
    ({"VALKEY_URL": "valkeys://cache.internal?ssl_cert_reqs=none"}, "VALKEY_URL"),
    ({"VALKEY_URL": "unix://"}, "VALKEY_URL"),
    ({"VALKEY_TIMEOUT_SECONDS": "0"}, "VALKEY_TIMEOUT_SECONDS"),
]
"""What neither app takes, in production or not, and the variable that it must name."""
