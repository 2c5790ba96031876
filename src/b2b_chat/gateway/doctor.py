"""Check that this server can do gateway_api's work: everything that it needs is examined, nothing is changed."""

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx

from b2b_chat.contract.schemas import MODEL_GPT_5_2, PING_PATH
from b2b_chat.contract.signing import sign
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.checkup import Finding, check_clock, check_valkey, seconds_ahead_of
from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.settings import Secret

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what to call, not to listen on


async def examine(settings: GatewaySettings, *, timeout_seconds: float) -> list[Finding]:
    """Run every check.

    Args:
        settings: Those that gateway_api runs with.
        timeout_seconds: How long each check may take.
    """
    upstreams: dict[str, tuple[str, Secret]] = {"OPENAI_BASE_URL": (settings.openai_base_url, settings.openai_api_key)}
    if settings.openai_fallback_base_url is not None and settings.openai_fallback_api_key is not None:
        upstreams["OPENAI_FALLBACK_BASE_URL"] = (settings.openai_fallback_base_url, settings.openai_fallback_api_key)
    certificates = ssl.create_default_context()
    async with (
        # A proxy of the environment is for calls to OpenAI, as in gateway_api itself.
        httpx.AsyncClient(verify=certificates, timeout=timeout_seconds, trust_env=False) as here,
        httpx.AsyncClient(verify=certificates, timeout=timeout_seconds) as outside,
    ):
        found = await asyncio.gather(
            _process(settings, here), *(_openai(name, url, key, outside) for name, (url, key) in upstreams.items())
        )
        valkey = await check_valkey(settings)
    shared = [] if valkey is None else [valkey]
    return [_environment(settings), *shared, *(finding for group in found for finding in group)]


def _environment(settings: GatewaySettings) -> Finding:
    if settings.app_env == "prod":
        return Finding("settings", "ok", "fit for production")
    return Finding("settings", "warn", "production's rules were not applied", "Set APP_ENV=prod on a server.")


async def _process(settings: GatewaySettings, http: httpx.AsyncClient) -> list[Finding]:
    host = _EVERY_ADDRESS.get(settings.gateway_host, settings.gateway_host)
    secret = settings.gateway_shared_secret.reveal().encode()
    headers = sign(secret, "GET", PING_PATH, b"", unix_seconds=int(utc_now().timestamp()))
    try:
        status, _ = await _get(http, f"http://{host}:{settings.gateway_port}{PING_PATH}", headers)
    except (httpx.HTTPError, TimeoutError) as error:
        text = f"nothing answers at port {settings.gateway_port}: {type(error).__name__}"
        return [Finding("gateway_api", "fail", text, "Start it. If it stops again, read its log.")]
    if status == HTTPStatus.OK:
        return [Finding("gateway_api", "ok", "runs, and knows this GATEWAY_SHARED_SECRET")]
    remedy = "It was started with another GATEWAY_SHARED_SECRET: restart it."
    return [Finding("gateway_api", "fail", f"it answered {status} to a signed ping", remedy)]


async def _openai(name: str, base_url: str, key: Secret, http: httpx.AsyncClient) -> list[Finding]:
    """Request the model's description: that costs nothing, and needs the key."""
    url = f"{base_url.rstrip('/')}/models/{MODEL_GPT_5_2}"
    try:
        status, date = await _get(http, url, {"Authorization": f"Bearer {key.reveal()}"})
    except (httpx.HTTPError, TimeoutError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            remedy = "Check this server's clock and ca-certificates."
            return [Finding(name, "fail", "its certificate is not trusted", remedy)]
        remedy = "Check the address, and this server's way to the Internet."
        return [Finding(name, "fail", f"not reached: {type(error).__name__}", remedy)]
    difference_seconds = seconds_ahead_of(date, utc_now())
    clock = [] if difference_seconds is None else [check_clock(name, difference_seconds)]
    return [_answered(name, status), *clock]


def _answered(name: str, status: int) -> Finding:
    if status == HTTPStatus.OK:
        return Finding(name, "ok", f"takes our key and has {MODEL_GPT_5_2}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Finding(name, "fail", f"it refuses our key ({status})", "Make another key, and set it here alone.")
    if status == HTTPStatus.NOT_FOUND:
        return Finding(name, "warn", f"it does not list {MODEL_GPT_5_2}", "Check that the key's project may use it.")
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return Finding(name, "fail", "its account is unpaid (402)", "Pay, or raise the account's limit.")
    return Finding(name, "fail", f"it answered {status}", "Check its status page.")


async def _get(http: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> tuple[int, str | None]:
    async with asyncio.timeout(http.timeout.read):  # httpx limits each read alone
        response = await http.get(url, headers=headers)
    return response.status_code, response.headers.get("Date")
