"""Reads the settings of a process from its environment, and checks what no single variable shows."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from typing import Final

from b2b_chat.contract.schemas import MODEL_CONTEXT_TOKENS
from b2b_chat.kit.settings import is_on_this_host, listen_address_problem, load, url_problems
from b2b_chat.kit.valkey import valkey_problems
from b2b_chat.product.chat.prompts import REQUEST_OVERHEAD_BYTES
from b2b_chat.product.database_roles import address_problems
from b2b_chat.product.limits.client_ip import parse_networks
from b2b_chat.product.production import unsafe_beyond_this_machine, unsafe_in_production
from b2b_chat.product.settings import ProductSettings

_MAX_BYTES_PER_CHARACTER: Final = 4
_ADDRESS: Final = re.compile(r"[!-~]+@[!-~]+")


def load_settings(environ: Mapping[str, str] = os.environ) -> ProductSettings:
    """The settings of this process.

    Raises:
        SettingsError: Variables are missing, wrong, or unsafe for production.
    """
    return load(ProductSettings, environ, check=check)


def check(settings: ProductSettings) -> Iterator[str]:
    """What no single variable shows."""
    yield from valkey_problems(settings)
    yield from address_problems(settings.database_url)
    yield from _address_problems(settings)
    yield from _mail_problems(settings)
    if settings.cookie_samesite == "none" and not settings.cookie_secure:
        yield "COOKIE_SAMESITE=none needs COOKIE_SECURE=true: browsers drop the cookie otherwise."
    try:
        parse_networks(settings.trusted_proxies)
    except ValueError:
        yield "TRUSTED_PROXIES must be networks with commas between, as 10.0.0.0/8, 127.0.0.1."
    if problem := _operator_networks_problem(settings.operator_networks):
        yield problem
    yield from _limit_problems(settings)
    if settings.app_env == "prod":
        yield from unsafe_in_production(settings)
    else:
        yield from unsafe_beyond_this_machine(settings)


def _operator_networks_problem(text: str) -> str | None:
    """What is wrong with the networks of operators: what names none must not come to mean all."""
    try:
        names_none = bool(text) and not parse_networks(text)
    except ValueError:
        names_none = True
    wanted = "OPERATOR_NETWORKS must be networks with commas between, as 10.0.0.0/8, 127.0.0.1, or empty."
    return wanted if names_none else None


def _limit_problems(settings: ProductSettings) -> Iterator[str]:
    """What is wrong with limits that depend on each other."""
    longest_text_bytes = settings.max_message_chars * _MAX_BYTES_PER_CHARACTER
    if settings.chat_min_completion_tokens > settings.chat_max_completion_tokens:
        yield "CHAT_MIN_COMPLETION_TOKENS must be at most CHAT_MAX_COMPLETION_TOKENS."
    if longest_text_bytes + REQUEST_OVERHEAD_BYTES > settings.chat_request_max_bytes:
        yield (
            "CHAT_REQUEST_MAX_BYTES must be at least four times MAX_MESSAGE_CHARS and "
            f"{REQUEST_OVERHEAD_BYTES} more: a message of that length would not pass the border."
        )
    if longest_text_bytes + REQUEST_OVERHEAD_BYTES > settings.max_body_bytes:
        yield (
            "MAX_BODY_BYTES must be at least four times MAX_MESSAGE_CHARS and "
            f"{REQUEST_OVERHEAD_BYTES} more: a message of that length could not be sent."
        )
    if settings.chat_context_max_tokens + settings.chat_max_completion_tokens > MODEL_CONTEXT_TOKENS:
        yield (
            "CHAT_CONTEXT_MAX_TOKENS and CHAT_MAX_COMPLETION_TOKENS must be at most "
            f"{MODEL_CONTEXT_TOKENS} together: the model reads and writes no more."
        )


def _address_problems(settings: ProductSettings) -> Iterator[str]:
    hosts = {"PRODUCT_HOST": settings.product_host, "METRICS_HOST": settings.metrics_host}
    yield from filter(None, (listen_address_problem(name, host) for name, host in hosts.items()))
    ours = {"GATEWAY_URL": settings.gateway_url, "PUBLIC_URL": settings.public_url}
    yield from url_problems(ours, needs_tls=settings.app_env == "prod")
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": settings.otel_exporter_otlp_endpoint}
    yield from url_problems(collector, needs_tls=settings.app_env == "prod", is_near=is_on_this_host)


def _mail_problems(settings: ProductSettings) -> Iterator[str]:
    if settings.smtp_host is not None and settings.email_from is None:
        yield "EMAIL_FROM is required where SMTP_HOST is set."
    if settings.email_from is not None and not _ADDRESS.fullmatch(parseaddr(settings.email_from)[1]):
        yield "EMAIL_FROM must be an address, as chat@example.com or Name <chat@example.com>."
    if settings.smtp_ca_file is not None and not _holds_certificates(settings.smtp_ca_file):
        yield "SMTP_CA_FILE names a file that cannot be read or holds no certificate."


def _holds_certificates(file: str) -> bool:
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError):  # an SSLError is an OSError
        return False
    return True
