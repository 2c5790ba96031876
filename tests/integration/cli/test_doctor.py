"""`b2b-chat doctor`: what it finds at healthy servers, and at broken ones."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import trustme

from b2b_chat.contract.schemas import CONTRACT_VERSION, MODEL_GPT_5_2
from b2b_chat.gateway.doctor import examine as examine_gateway
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.checkup import Finding, check_certificate
from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.settings import Secret, load
from b2b_chat.kit.valkey import Valkey
from b2b_chat.product.configuration import check
from b2b_chat.product.doctor import examine as examine_product
from b2b_chat.product.schema import head
from b2b_chat.product.settings import ProductSettings
from b2b_chat.sandbox.postgres import run_sql
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.roles import AppUser
from support.gateway.app import SECRET, Gateway, gateway, gateway_settings
from support.http.fixed_answer import answering
from support.http.serving import free_port
from support.processes.commands import clean_environ, run
from support.product.app import environ
from support.product.mailbox import Mailbox, accepts, mailbox

_NOWHERE = "http://127.0.0.1:9"


@pytest_asyncio.fixture
async def border() -> AsyncIterator[Gateway]:
    async with gateway(gateway_settings()) as served:
        yield served


@pytest_asyncio.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as taking:
        yield taking


def variables(database_url: str, gateway_url: str, mail_port: int, **changes: str) -> dict[str, str]:
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_port), "SMTP_USE_TLS": "false"}
    mail["EMAIL_FROM"] = "chat@chat.test"
    return environ(database_url, gateway_url, GATEWAY_SHARED_SECRET=SECRET, PUBLIC_URL=gateway_url, **mail) | changes


async def of_product(
    database_url: str = "postgresql://nobody@127.0.0.1:9/none", gateway_url: str = _NOWHERE, **changes: str
) -> dict[str, Finding]:
    """What it finds, by subject; nothing is there that a test does not name."""
    settings = load(ProductSettings, variables(database_url, gateway_url, 9, **changes), check=check)
    return by_subject(await examine_product(settings, timeout_seconds=10))


async def of_gateway(settings: GatewaySettings) -> dict[str, Finding]:
    return by_subject(await examine_gateway(settings, timeout_seconds=10))


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    assert all(finding.remedy for finding in findings if finding.level != "ok"), "each says what to do"
    return {finding.subject: finding for finding in findings}


async def test_a_deployment_that_is_well(database_url: str, border: Gateway, box: Mailbox, tmp_path: Path) -> None:
    settings = clean_environ(tmp_path, **variables(database_url, border.url, box.port))
    done = await asyncio.to_thread(run, "doctor", "product", environ=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fail" not in done.stdout
    for line in (
        "warn  settings: production's rules were not applied",
        "ok    clock beside the database: less than 5 s apart",
        f"ok    migrations: at {head()}, the newest of this release",
        "ok    rights: product_api can add to the ledger and the audit log, and cannot rewrite them",
        "ok    clock beside the gateway: less than 5 s apart",
        "ok    mail: the server answers; no login is set",
        "ok    PUBLIC_URL: product_api answers there",
    ):
        assert line in done.stdout.splitlines()
    assert not box.mails


async def test_nothing_is_there(tmp_path: Path) -> None:
    settings = clean_environ(tmp_path, **variables("postgresql://nobody:canary@127.0.0.1:9/none", _NOWHERE, 9))
    done = await asyncio.to_thread(run, "doctor", "product", environ=settings)
    assert (done.returncode, done.stderr) == (1, "")
    failed = {line.split(":")[0].split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("fail")}
    assert failed == {"database", "gateway", "mail"}
    assert not [value for name, value in settings.items() if "SECRET" in name and value in done.stdout]
    assert "canary" not in done.stdout


async def test_wrong_settings_are_named_and_nothing_is_looked_at(tmp_path: Path) -> None:
    done = await asyncio.to_thread(run, "doctor", "gateway", environ=clean_environ(tmp_path, APP_ENV="prod"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "GATEWAY_SHARED_SECRET is required" in done.stderr


@pytest.mark.parametrize(("revision", "level"), [("0001", "fail"), ("9999", "warn")])
async def test_a_database_of_another_release(owner_url: str, database_url: str, revision: str, level: str) -> None:
    run_sql(owner_url, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 - our own
    found = (await of_product(database_url))["migrations"]
    assert (found.level, revision in found.text) == (level, True)


@pytest.mark.parametrize(("ours", "level"), [("1048576", "ok"), ("1048577", "fail")])
async def test_a_gateway_that_accepts_less_than_may_be_sent(border: Gateway, ours: str, level: str) -> None:
    found = (await of_product(gateway_url=border.url, CHAT_REQUEST_MAX_BYTES=ours))["gateway's limit"]
    assert found.level == level


@pytest.mark.parametrize(("app_env", "level"), [("dev", "warn"), ("prod", "fail")])
async def test_a_product_that_works_as_the_owner_of_the_tables(owner_url: str, app_env: Any, level: str) -> None:
    settings = load(ProductSettings, variables(owner_url, _NOWHERE, 9))
    findings = await examine_product(msgspec.structs.replace(settings, app_env=app_env), timeout_seconds=10)
    found = by_subject(findings)["rights"]
    assert (found.level, found.text) == (level, "the user of DATABASE_URL can rewrite audit_log and ledger")


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "UPDATE (outcome)"])
async def test_one_right_too_much(owner_url: str, database_url: str, app_user: AppUser, right: str) -> None:
    run_sql(owner_url, f"GRANT {right} ON audit_log TO {app_user.name}")
    assert (await of_product(database_url))["rights"].text == "the user of DATABASE_URL can rewrite audit_log"


@pytest.mark.parametrize("table", ["alembic_version", "ledger", "messages"])
async def test_one_right_too_few(owner_url: str, database_url: str, app_user: AppUser, table: str) -> None:
    run_sql(owner_url, f"REVOKE SELECT ON {table} FROM {app_user.name}")  # noqa: S608 - our own
    found = (await of_product(database_url))["rights"]
    assert (found.level, found.text) == ("fail", f"the user of DATABASE_URL lacks rights on {table}")


async def test_a_database_without_tables(empty_database_url: str) -> None:
    found = await of_product(empty_database_url)
    assert found["database"].level == "ok"
    assert found["migrations"] == Finding("migrations", "fail", "the database has no tables", "Run: b2b-chat migrate")


async def test_another_shared_secret(border: Gateway) -> None:
    found = await of_product(gateway_url=border.url, GATEWAY_SHARED_SECRET="another-0b81c6e52f7d4a93b0e6f218")
    assert found["gateway"].text == "the gateway does not know our signature"
    assert "GATEWAY_SHARED_SECRET" in found["gateway"].remedy


@pytest.mark.parametrize(("minutes", "gateway_level"), [(0.5, "ok"), (10, "fail"), (-10, "fail")])
async def test_a_clock_that_is_wrong(minutes: float, gateway_level: str) -> None:
    def skewed() -> datetime:
        return utc_now() + timedelta(minutes=minutes)

    async with gateway(gateway_settings(), clock=skewed) as served:
        found = await of_product(gateway_url=served.url)
    assert found["gateway"].level == gateway_level
    if gateway_level == "ok":  # within what the gateway accepts, and reported all the same
        assert found["clock beside the gateway"].level == "fail"
        assert re.fullmatch(r"this server's is \d+ s behind", found["clock beside the gateway"].text)
    else:
        assert found["gateway"].text == "the gateway finds our time too far from its own"
        assert "NTP" in found["gateway"].remedy


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (403, "<html>Forbidden</html>", "its nginx does not let this server in (403)"),
        (502, "", "it answered 502"),
        (200, "<html>Welcome to nginx!</html>", "what answers is no gateway_api"),
        (200, '{"version": "0", "model": "another", "server_time": 1}', "it serves another"),
        (
            200,
            f'{{"version": "0.0.9", "model": "{MODEL_GPT_5_2}", "server_time": 1}}',
            f"release 0.0.9 speaks contract 1, this one needs {CONTRACT_VERSION}",
        ),
    ],
)
async def test_something_else_in_the_gateways_place(status: int, body: str, text: str) -> None:
    async with answering(status, body) as url:
        found = await of_product(gateway_url=url)
    assert (found["gateway"].level, found["gateway"].text) == ("fail", text)
    assert found["PUBLIC_URL"].level == ("ok" if status == 200 else "fail")


async def test_a_mail_server_that_refuses_the_login() -> None:
    refusing = Mailbox()
    async with refusing.listening(authenticator=accepts("chat", "right"), auth_require_tls=False):
        login = {"SMTP_PORT": str(refusing.port), "SMTP_USER": "chat"}
        assert (await of_product(SMTP_PASSWORD="right", **login))["mail"].level == "ok"
        assert (await of_product(SMTP_PASSWORD="wrong", **login))["mail"].text == "login refused"
    assert refusing.begun == 0


async def test_valkey(valkey_server: EmbeddedValkey) -> None:
    assert (await of_product(VALKEY_URL=valkey_server.url))["Valkey"].level == "ok"
    assert (await of_product(VALKEY_URL="valkey://127.0.0.1:9"))["Valkey"].level == "fail"
    with_valkey = gateway_settings(valkey_url=Secret("valkey://127.0.0.1:9"), openai_base_url=_NOWHERE, gateway_port=9)
    assert (await of_gateway(with_valkey))["Valkey"].level == "fail"


@pytest.mark.parametrize("setting", [{"save": "3600 1"}, {"appendonly": "yes"}])
async def test_a_valkey_that_writes_answers_to_disk(setting: dict[str, str], tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", settings=setting)
    server.start()
    try:
        for found in (
            await of_product(VALKEY_URL=server.url),
            await of_gateway(gateway_settings(valkey_url=Secret(server.url), openai_base_url=_NOWHERE, gateway_port=9)),
        ):
            assert found["Valkey"].level == "warn"
            assert "appendonly no" in found["Valkey"].remedy
    finally:
        server.stop()


async def test_a_valkey_that_does_not_reveal_its_settings(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", settings={"appendonly": "yes"})
    server.start()
    owner = Valkey(Secret(server.url), timeout_seconds=5, max_connections=1)
    await owner.ask("ACL", "SETUSER", "default", "-config")
    await owner.close()
    try:
        assert (await of_product(VALKEY_URL=server.url))["Valkey"].level == "ok"
    finally:
        server.stop()


async def test_without_a_mail_server() -> None:
    assert (await of_product(SMTP_HOST="", EMAIL_FROM=""))["mail"].level == "warn"


async def test_a_server_that_does_not_answer() -> None:
    is_over = asyncio.Event()

    async def stay_silent(_reader: Any, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = load(ProductSettings, variables("postgresql://nobody@127.0.0.1:9/none", _NOWHERE, port), check=check)
    found = by_subject(await examine_product(settings, timeout_seconds=0.3))
    is_over.set()
    server.close()
    await server.wait_closed()
    assert found["mail"].text == "no answer in 0.3 s"


class TestCertificates:
    @pytest.mark.parametrize(
        ("days", "level", "text"),
        [(-1, "fail", "it is not trusted: certificate has expired"), (5, "fail", "it ends in"), (90, "ok", "trusted")],
    )
    async def test_its_end(
        self, days: int, level: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        now = datetime.now(UTC)
        context = server_context(authority, not_before=now - timedelta(days=99), not_after=now + timedelta(days=days))
        async with answering(200, tls=context) as url:
            found = await check_certificate("GATEWAY_URL", url, now=now)
        assert found is not None
        assert (found.level, found.text.startswith(text)) == (level, True), found

    async def test_an_untrusted_certificate(self) -> None:
        async with answering(200, tls=server_context(trustme.CA())) as url:
            found = await of_product(gateway_url=url)
        assert found["certificate of GATEWAY_URL"].level == "fail"
        assert "fullchain.pem" in found["certificate of GATEWAY_URL"].remedy
        assert found["gateway"].text.startswith("not reached")

    async def test_a_closed_port_and_an_address_without_tls(self) -> None:
        closed = f"https://localhost:{free_port()}"
        found = await check_certificate("PUBLIC_URL", closed, now=utc_now())
        assert found is not None
        assert (found.level, found.text) == ("fail", "no TLS connection: ConnectionRefusedError")
        assert await check_certificate("PUBLIC_URL", _NOWHERE, now=utc_now()) is None


def server_context(authority: trustme.CA, **dates: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", **dates).configure_cert(context)
    return context


class TestGateway:
    @pytest.mark.parametrize(
        ("status", "level", "text"),
        [
            (200, "ok", "takes our key"),
            (401, "fail", "it refuses our key (401)"),
            (402, "fail", "its account is unpaid (402)"),
            (404, "warn", "it does not list"),
            (500, "fail", "it answered 500"),
        ],
    )
    async def test_openai(self, status: int, level: str, text: str) -> None:
        async with answering(status, "{}", f"Date: {format_datetime(utc_now(), usegmt=True)}") as url:
            found = await of_gateway(gateway_settings(openai_base_url=f"{url}/v1"))
        assert (found["OPENAI_BASE_URL"].level, found["OPENAI_BASE_URL"].text.startswith(text)) == (level, True)
        assert found["clock beside OPENAI_BASE_URL"].level == "ok"

    async def test_our_clock_beside_openais(self) -> None:
        an_hour_ago = utc_now() - timedelta(hours=1)
        async with answering(200, "{}", f"Date: {format_datetime(an_hour_ago, usegmt=True)}") as url:
            found = await of_gateway(gateway_settings(openai_base_url=f"{url}/v1"))
        assert re.fullmatch(r"this server's is 36\d\d s ahead", found["clock beside OPENAI_BASE_URL"].text)

    async def test_openai_is_not_reached(self) -> None:
        found = await of_gateway(
            gateway_settings(
                openai_fallback_base_url=_NOWHERE, openai_fallback_api_key=Secret("sk-fallback"), gateway_port=9
            )
        )
        assert {name for name, finding in found.items() if finding.level == "fail"} == {
            "OPENAI_BASE_URL", "OPENAI_FALLBACK_BASE_URL", "gateway_api"
        }  # fmt: skip

    async def test_an_openai_with_an_untrusted_certificate(self) -> None:
        async with answering(200, tls=server_context(trustme.CA())) as url:
            found = await of_gateway(gateway_settings(openai_base_url=f"{url}/v1"))
        assert (found["OPENAI_BASE_URL"].level, found["OPENAI_BASE_URL"].text) == (
            "fail",
            "its certificate is not trusted",
        )

    @pytest.mark.parametrize(("app_env", "level"), [("prod", "ok"), ("test", "warn")])
    async def test_whether_productions_rules_apply(self, app_env: str, level: str) -> None:
        found = await of_gateway(gateway_settings(app_env=app_env, gateway_port=9))
        assert found["settings"].level == level

    async def test_the_process_itself(self, border: Gateway) -> None:
        settings = msgspec.structs.replace(gateway_settings(), gateway_port=border.port)
        assert (await of_gateway(settings))["gateway_api"].level == "ok"
        other = msgspec.structs.replace(settings, gateway_shared_secret=Secret("another"))
        assert (await of_gateway(other))["gateway_api"].text == "it answered 401 to a signed ping"
