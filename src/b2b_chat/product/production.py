"""What production does not accept of settings that would be good enough for a laptop."""

from collections.abc import Iterator
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final
from urllib.parse import urlsplit

from b2b_chat.kit.database import address_of, is_postgresql_url
from b2b_chat.kit.secret_quality import looks_like_placeholder, public_secret_problems, secret_problems
from b2b_chat.kit.settings import (
    Secret,
    is_documentation_host,
    is_on_this_host,
    is_this_machine,
)
from b2b_chat.kit.valkey import unsafe_valkey
from b2b_chat.product.limits.client_ip import parse_networks
from b2b_chat.product.settings import ProductSettings

_ENCRYPTED: Final = {"require", "verify-ca", "verify-full"}
"""A weaker mode encrypts only if no one on the way objects."""
_WIDEST_IPV4: Final = 8
_WIDEST_IPV6: Final = 7
"""The shortest prefixes of private networks."""


def unsafe_in_production(settings: ProductSettings) -> Iterator[str]:
    """The problems, a line each; each begins with its variable and holds no value."""
    yield from _unsafe_secrets(settings)
    yield from _unsafe_mail(settings)
    yield from _unsafe_web(settings)
    yield from _unsafe_database(settings.database_url.reveal())
    yield from unsafe_valkey(settings)
    if settings.operator_second_factor is False:
        yield "OPERATOR_SECOND_FACTOR must not be false in production: an operator's mailbox would be enough."
    if settings.debug or settings.log_level == "DEBUG":
        yield "DEBUG and LOG_LEVEL=DEBUG are refused in production."


def unsafe_beyond_this_machine(settings: ProductSettings) -> Iterator[str]:
    """Return what is refused outside of production too, where others reach the app: secrets that anyone can read."""
    reached_by = {"PUBLIC_URL": urlsplit(settings.public_url).hostname or ""}
    if not settings.accept_development_secrets:
        reached_by["PRODUCT_HOST"] = settings.product_host
    yield from public_secret_problems(_secrets(settings), reached_by=reached_by)


def _secrets(settings: ProductSettings) -> dict[str, Secret | None]:
    return {
        "GATEWAY_SHARED_SECRET": settings.gateway_shared_secret,
        "SESSION_SECRET": settings.session_secret,
        "AUTH_TOKEN_SECRET": settings.auth_token_secret,
        "INVITE_TOKEN_SECRET": settings.invite_token_secret,
        "SESSION_SECRET_PREVIOUS": settings.session_secret_previous,
        "AUTH_TOKEN_SECRET_PREVIOUS": settings.auth_token_secret_previous,
        "INVITE_TOKEN_SECRET_PREVIOUS": settings.invite_token_secret_previous,
    }


def _unsafe_secrets(settings: ProductSettings) -> Iterator[str]:
    yield from secret_problems(_secrets(settings))
    if settings.accept_development_secrets:
        yield "ACCEPT_DEVELOPMENT_SECRETS is refused in production."
    if settings.openai_api_key is not None:
        yield "OPENAI_API_KEY must not be set on the product server. Only the gateway may hold it."
    if settings.migrations_database_url is not None:
        yield (
            "MIGRATIONS_DATABASE_URL must not be set for product_api: its holder can rewrite the ledger and the audit "
            "log. Only b2b-chat migrate, backup and restore need it."
        )


def _unsafe_mail(settings: ProductSettings) -> Iterator[str]:
    for name, value in (("SMTP_HOST", settings.smtp_host), ("EMAIL_FROM", settings.email_from)):
        if not value:
            yield f"{name} is required in production: people sign in by mail."
    if settings.smtp_user is not None and settings.smtp_password is None:
        yield "SMTP_PASSWORD is required where SMTP_USER is set."
    if settings.smtp_password is not None and settings.smtp_user is None:
        yield "SMTP_USER is required where SMTP_PASSWORD is set."
    if settings.smtp_host and is_documentation_host(settings.smtp_host):
        yield "SMTP_HOST still has the address of an example."
    if settings.email_from and is_documentation_host(parseaddr(settings.email_from)[1].rpartition("@")[2]):
        yield "EMAIL_FROM still has the address of an example."
    if settings.smtp_host and not settings.smtp_use_tls and not is_on_this_host(settings.smtp_host):
        yield (
            "SMTP_USE_TLS must be true in production unless SMTP_HOST is on this host: passwords and login links would "
            "be seen."
        )


def _unsafe_web(settings: ProductSettings) -> Iterator[str]:
    if not settings.cookie_secure:
        yield "COOKIE_SECURE must be true in production: a session cookie must not travel in the clear."
    if settings.cookie_samesite == "none":
        yield "COOKIE_SAMESITE must be strict or lax in production: other sites must not act with the cookie."
    if settings.public_url.startswith("http://") and is_this_machine(urlsplit(settings.public_url).hostname or ""):
        yield "PUBLIC_URL must start with https:// in production."
    if _trusts_everybody(settings.trusted_proxies):
        yield "TRUSTED_PROXIES must not hold addresses of others: a caller could choose the IP that limits count."


def _unsafe_database(url: str) -> Iterator[str]:
    if not is_postgresql_url(url):
        return  # reported already
    address = address_of(url)
    if is_documentation_host(address.host):
        yield "DATABASE_URL still has the address of an example."
    elif not address.is_socket and not is_on_this_host(address.host) and address.sslmode not in _ENCRYPTED:
        yield "DATABASE_URL must end with ?sslmode=verify-full (or verify-ca, require) where it leads to another host."
    if not address.is_socket and not is_this_machine(address.host) and not address.has_proof:
        yield "DATABASE_URL must hold a password, unless it leads to this machine."
    if looks_like_placeholder(address.password):
        yield "DATABASE_URL has a password that looks like a placeholder."


def _trusts_everybody(networks: str) -> bool:
    """Return whether networks, each or together, are more than anyone's own: wider than 10.0.0.0/8 or fc00::/7."""
    try:
        trusted = parse_networks(networks)
    except ValueError:
        return False  # reported already
    of_v4 = collapse_addresses(network for network in trusted if isinstance(network, IPv4Network))
    of_v6 = collapse_addresses(network for network in trusted if isinstance(network, IPv6Network))
    return any(network.prefixlen < _WIDEST_IPV4 for network in of_v4) or any(
        network.prefixlen < _WIDEST_IPV6 for network in of_v6
    )
