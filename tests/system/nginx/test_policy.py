"""What nginx lets through to an app, what it adds and takes away, and what it answers itself."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from b2b_chat.contract.errors import FAILURES
from support.http.recording_app import FIRST, LAST
from support.http.serving import free_port
from support.network.nginx import NAME, Behind, Nginx, SiteName
from support.processes.waiting import until

FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
}
MIB = 1_048_576
CANARIES = {"Cookie": "session=canary-cookie", "Authorization": "Bearer canary-key", "Referer": "/?canary-referrer"}


def test_the_files_are_valid_alone_and_together(tmp_path: Path) -> None:
    choices: list[list[SiteName]] = [["product_api"], ["gateway_api"], ["product_api", "gateway_api"]]
    for number, sites in enumerate(choices):
        checked = Nginx(tmp_path / str(number), dict.fromkeys(sites, 9)).check()
        assert checked.returncode == 0, checked.stderr
        assert "successful" in checked.stderr


async def test_an_address_off_the_list_gets_403_and_never_reaches_the_app(behind: Behind) -> None:
    forged = {**FORGED, "X-Forwarded-For": "127.0.0.1"}
    async with behind.nginx.client("gateway_api", address="127.0.0.3", headers=forged) as stranger:
        with behind.app.nothing_arrives():
            for method, path in (("POST", "/v1/chat"), ("GET", "/internal/ping"), ("GET", "/health")):
                refused = await stranger.request(method, path)
                assert (refused.status_code, refused.json()["error"]["code"]) == (403, "address_not_allowed")
    async with behind.nginx.client("gateway_api", address="127.0.0.2") as ours:
        assert (await ours.get("/health")).status_code == 200
    assert len(behind.app.arrivals) == 1


async def test_events_arrive_before_the_app_has_sent_the_last(behind: Behind, site: SiteName) -> None:
    async with (
        behind.nginx.client(site) as client,
        client.stream("POST", "/v1/chat/stream", json={}) as response,
    ):
        pieces = response.aiter_bytes()
        assert await anext(pieces) == FIRST
        assert not behind.app.last_is_sent
        behind.app.go_on.set()
        assert b"".join([piece async for piece in pieces]) == LAST


async def test_headers_that_a_client_forges_are_overwritten(behind: Behind, site: SiteName) -> None:
    async with behind.nginx.client(site, address="127.0.0.2", headers=FORGED) as client:
        await client.get("/health")
    (arrival,) = behind.app.arrivals
    assert arrival.headers["x-forwarded-for"] == ["127.0.0.2"]
    assert arrival.headers["x-real-ip"] == ["127.0.0.2"]
    assert arrival.headers["x-forwarded-proto"] == ["https"]
    assert arrival.headers["host"] == [NAME]
    assert not {"forwarded", "x-forwarded-host"} & set(arrival.headers)


async def test_the_request_id_is_passed_on_and_made_where_it_is_missing_or_malformed(
    behind: Behind, site: SiteName
) -> None:
    async with behind.nginx.client(site) as client:
        for request_id in ("mine-1", "not valid", "x" * 129):
            await client.get("/health", headers={"X-Request-ID": request_id})
        await client.get("/health")
    arrived = [arrival.headers["x-request-id"] for arrival in behind.app.arrivals]
    assert arrived[0] == ["mine-1"]
    made = {request_id for (request_id,) in arrived[1:]}
    assert len(made) == 3
    assert all(len(request_id) == 32 for request_id in made)

    async def are_logged() -> bool:  # nginx writes a line after it has answered
        lines = behind.nginx.logs(f"{site}.access.log").splitlines()
        return {json.loads(line)["request_id"] for line in lines} == {"mine-1", *made}

    await until(are_logged)


async def test_a_target_is_passed_on_byte_for_byte(behind: Behind, site: SiteName) -> None:
    target = b"/v1/a%2Fb//%7Ec/./../d?x=%2f&y=%D0%BF+&&z"
    assert (await spoken(behind.nginx, site, target)).startswith(b"HTTP/1.1 200")
    assert [arrival.target for arrival in behind.app.arrivals] == [target]


async def test_a_body_up_to_the_limit_stays_in_memory_and_one_above_it_is_shed(behind: Behind, site: SiteName) -> None:
    async def chunks(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // 65536):
            yield b"x" * 65536
        yield b"x"

    async with behind.nginx.client(site) as client:
        largest = asyncio.create_task(client.post("/v1/held", content=b"x" * MIB))
        await until(lambda: _is(len(behind.app.arrivals) == 1))
        assert [path for path in behind.nginx.bodies.rglob("*") if path.is_file()] == []
        behind.app.go_on.set()
        assert (await largest).status_code == 200
        assert len(behind.app.arrivals[0].body) == MIB
        with behind.app.nothing_arrives():
            for body in (b"x" * (MIB + 1), chunks(MIB)):
                shed = await client.post("/v1/chat", content=body)
                assert shed.status_code == 413
                said = shed.json()
                assert (said.get("detail") or said.get("error"))["code"] == "body_too_large"
            if site == "product_api":  # an OpenAI client reads OpenAI's form alone
                shed = await client.post("/v1/chat/completions", content=b"x" * (MIB + 1))
                assert (shed.status_code, shed.json()["error"]["code"]) == (413, "body_too_large")


async def test_metrics_and_readiness_are_not_for_the_world(behind: Behind, site: SiteName) -> None:
    with behind.app.nothing_arrives():
        for target in (
            b"/metrics",
            b"/ready?x",
            b"/ready/",
            b"/ready//",
            b"/metrics/",
            b"/%72eady/",
            b"/v1/../metrics",
            b"/%6detrics",
            b"//metrics",
        ):
            answer = await spoken(behind.nginx, site, target)
            assert answer.startswith(b"HTTP/1.1 404")
            assert b'"code":"not_found"' in answer


async def test_too_many_requests_of_one_address_are_refused_and_another_is_served(tmp_path: Path) -> None:
    allowed = 256
    arrived = 0
    go_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        head = await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        if b"GET /held" in head:
            await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    # Not `AppBehind`: its server takes 128 connections.
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        nginx = Nginx(tmp_path / "nginx", {"product_api": server.sockets[0].getsockname()[1]})
        with nginx.running():
            held = [await nginx.connect("product_api", address="127.0.0.2") for _ in range(allowed)]
            for _, writer in held:
                writer.write(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: _is(arrived == allowed), timeout_seconds=60)
            async with nginx.client("product_api", address="127.0.0.2") as same:
                refused = await same.get("/one-more")
                assert (refused.status_code, refused.json()["detail"]["code"]) == (429, "rate_limited")
                assert refused.headers["retry-after"]
            async with nginx.client("product_api", address="127.0.0.3") as other:
                assert (await other.get("/health")).status_code == 200
            go_on.set()
            for reader, writer in held:
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
                writer.close()
    assert arrived == allowed + 1


async def test_an_app_that_is_down_is_said_in_its_own_words(tmp_path: Path) -> None:
    nobody = free_port()
    nginx = Nginx(tmp_path / "nginx", {"product_api": nobody, "gateway_api": nobody})
    with nginx.running():
        async with nginx.client("product_api") as client:
            down = await client.post("/v1/chat", json={}, headers={"X-Request-ID": "asked.1"})
            assert (down.status_code, down.json()["detail"]["code"]) == (503, "unavailable")
            assert down.json()["detail"]["retryable"]
            assert down.json()["detail"]["request_id"] == "asked.1"
            assert down.headers["retry-after"]
            for path in ("/v1/chat/completions", "/v1/responses", "/v1/models/gpt-5.2"):
                down = await client.post(path, json={}, headers={"X-Request-ID": "asked.1"})
                assert (down.status_code, down.json()["error"]["type"]) == (503, "server_error")
                assert (down.headers["retry-after"], down.headers["x-request-id"]) == ("2", "asked.1")
        async with nginx.client("gateway_api") as client:
            down = await client.post("/v1/chat", json={})
            # product_api waits for a gateway that replies so, and signs its call again.
            expected = FAILURES["shutting_down"]
            assert (down.status_code, down.json()["error"]["code"]) == (expected.status, expected.code)
            assert down.json()["error"]["retryable"]


async def test_what_nginx_says_as_product_api_has_all_fields_of_an_error() -> None:
    text = (Path(__file__).parents[3] / "deploy" / "nginx" / "product_api.conf").read_text()
    bodies = [line.split("'")[1] for line in text.splitlines() if line.strip().startswith("return ") and "'" in line]
    assert len(bodies) == 7
    for body in map(json.loads, bodies):
        if "error" in body:  # to OpenAI's clients
            assert body["error"].keys() == {"message", "type", "param", "code"}
        else:
            assert body["detail"].keys() == {"code", "message", "retryable", "request_id"}


async def test_nginx_answers_for_the_gateway_in_its_vocabulary() -> None:
    own = {"address_not_allowed"}
    text = (Path(__file__).parents[3] / "deploy" / "nginx" / "gateway_api.conf").read_text()
    bodies = [line.split("'")[1] for line in text.splitlines() if line.strip().startswith("return ") and "'" in line]
    assert len(bodies) == 6
    for body in bodies:
        error = json.loads(body)["error"]
        assert set(error) == {"type", "code", "message", "retryable"}
        failure = FAILURES.get(error["code"])
        if failure is None:
            assert error["code"] in own
        else:
            assert (error["type"], error["retryable"]) == (failure.type, failure.retryable)


async def test_a_call_is_never_sent_twice_and_connections_to_the_app_are_kept(tmp_path: Path, site: SiteName) -> None:
    requests: list[bytes] = []
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while not reader.at_eof():
            head = await reader.readuntil(b"\r\n\r\n")
            requests.append(head)
            if b"GET /internal/leave" in head:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        nginx = Nginx(tmp_path / "nginx", {site: port})
        with nginx.running():
            async with nginx.client(site) as client:
                for _ in range(3):
                    assert (await client.get("/internal/ping")).status_code == 200
                assert connections == 1
                # A GET on a kept connection: what nginx would by default try once more.
                assert (await client.get("/internal/leave")).status_code == 503
    assert len(requests) == 4


async def test_plain_http_is_redirected_and_every_answer_carries_hsts(behind: Behind, site: SiteName) -> None:
    async with httpx.AsyncClient() as plain:
        moved = await plain.post(f"http://127.0.0.1:{behind.nginx.plain_ports[site]}/v1/chat?x=1")
    assert (moved.status_code, moved.headers["location"]) == (308, f"https://{NAME}/v1/chat?x=1")
    async with behind.nginx.client(site) as client:
        answers = [
            await client.get("/health"),
            await client.get("/metrics"),
            await client.put("/v1", content=b"x" * 2 * MIB),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 413]
    for answer in answers:
        assert answer.headers.get_list("strict-transport-security") == ["max-age=63072000; includeSubDomains"]
    for answer in (moved, *answers[1:]):
        assert answer.headers["server"] == "nginx"


async def test_logs_hold_no_query_cookie_referrer_or_key(behind: Behind, site: SiteName) -> None:
    async with (
        behind.nginx.client(site, headers=CANARIES) as client,
        behind.nginx.client("gateway_api", address="127.0.0.3", headers=CANARIES) as stranger,
        httpx.AsyncClient(headers=CANARIES) as plain,
    ):
        await client.get("/v1/seen-path?canary-query")
        await client.get("/metrics?canary-query")
        await client.post("/v1/chat?canary-query", content=b"x" * 2 * MIB)
        await plain.get(f"http://127.0.0.1:{behind.nginx.plain_ports[site]}/?canary-query")
        assert (await stranger.get("/v1/chat?canary-query")).status_code == 403
    lines = [json.loads(line) for line in behind.nginx.logs(f"{site}.access.log").splitlines()]
    assert "/v1/seen-path" in {line["path"] for line in lines}
    assert {"200", "308", "404", "413"} <= {line["status"] for line in lines}
    assert "canary" not in behind.nginx.logs()


async def test_logs_hold_no_query_where_the_app_is_down(tmp_path: Path, site: SiteName) -> None:
    nginx = Nginx(tmp_path / "nginx", {site: free_port()})
    with nginx.running():
        async with nginx.client(site, headers=CANARIES) as client:
            assert (await client.get("/v1/chat?canary-query")).status_code == 503
    assert '"status":"503"' in nginx.logs()
    assert "canary" not in nginx.logs()


async def spoken(nginx: Nginx, site: SiteName, target: bytes) -> bytes:
    """What a site answers to a GET of this very target, which a client would tidy up."""
    reader, writer = await nginx.connect(site)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def handshake(nginx: Nginx, site: SiteName, *, version: ssl.TLSVersion, name: str = NAME) -> str | None:
    context = ssl.create_default_context(cafile=nginx.authority_file)
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL itself would else not offer what is old
    context.minimum_version = context.maximum_version = version
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", nginx.ports[site]), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        return secured.selected_alpn_protocol()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_is_12_or_newer_and_only_for_our_name(behind: Behind, site: SiteName) -> None:
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|protocol version"):
            handshake(behind.nginx, site, version=version)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert handshake(behind.nginx, site, version=version) == "h2"
        with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME|unrecognized name"):
            handshake(behind.nginx, site, version=version, name="other.example")


async def _is(fact: bool) -> bool:
    return fact
