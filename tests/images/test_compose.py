"""`docker compose` for real: CONTAINERS.md, and the release, backup and watching of deploy/README.md."""

import json
import re
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from support.images.containers import BASE, ROOT, Builder
from support.images.docker_engine import Engine, engine

PRODUCT = "http://localhost:8000"
GATEWAY = "http://localhost:8001"
OWNER = "anna@example.test"
JSON = ("--header", "Content-Type: application/json")
STAND_INS = Path(__file__).parent / "stand_ins"
READY_SECONDS = 120
CHAT = {"client_message_id": "first", "text": "Hello from compose"}


class Composed:
    """`docker compose` in the project's folder, with images of others replaced by what stands in for them."""

    def __init__(self, running: Engine) -> None:
        self.engine = running
        self._images = {"PYTHON_IMAGE": BASE} | {
            f"{folder.name.upper()}_IMAGE": running.build_stand_in(folder) for folder in sorted(STAND_INS.iterdir())
        }

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> str:
        return self.engine.docker("compose", *arguments, stdin=stdin, **self._images, **environ)

    def fails(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Exit code and stderr of what must not work."""
        done = self.engine.try_docker("compose", *arguments, stdin=b"", **self._images, **environ)
        return done.returncode, done.stderr.decode()

    def services(self) -> dict[str, dict[str, Any]]:
        """What `docker compose ps` reports of each container, ended ones too."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        return {described["Service"]: described for described in map(json.loads, lines)}

    def until_healthy(self) -> None:
        """Return once both apps are."""
        deadline = time.monotonic() + READY_SECONDS
        while {self.services()[name]["Health"] for name in ("product_api", "gateway_api")} != {"healthy"}:
            assert time.monotonic() < deadline, self("logs", "product_api", "gateway_api")[-4000:]
            time.sleep(0.5)

    def post(self, path: str, body: dict[str, Any], *options: str) -> str:
        """POST to product_api, as the lines of WALKTHROUGH.md do."""
        return self.engine.curl(f"{PRODUCT}{path}", *JSON, "--data", json.dumps(body), *options)


@pytest.fixture(scope="module")
def compose(builder: Builder) -> Iterator[Composed]:
    """The stack with the profile dev, built and started by an engine of its own."""
    with engine(ROOT / "build" / "images") as running:
        running.load(builder.base_archive())
        composed = Composed(running)
        try:
            composed("--profile", "dev", "up", "--build", "--detach")
        except AssertionError as failure:
            failure.add_note(composed("logs", "--no-color")[-4000:])
            raise
        composed.until_healthy()
        # What was new a minute ago may have let calls in before; until then the gateway refuses them.
        deadline = time.monotonic() + READY_SECONDS
        while "ready" not in (told := running.curl(f"{PRODUCT}/ready")) or "not_ready" in told:
            assert time.monotonic() < deadline, told
            time.sleep(1)
        yield composed
        composed("--profile", "dev", "--profile", "observe", "down", "--volumes")


@pytest.fixture(scope="module")
def cookies(compose: Composed) -> str:
    """A cookie file of curl's, for a company's owner who signed in by a mailed code; the company has credits."""
    company = compose("exec", "-T", "product_api", "b2b-chat", "company-create", "Acme", "--owner", OWNER).strip()
    compose("exec", "-T", "product_api", "b2b-chat", "credits-add", company, "100", "--external-id", "invoice-1")
    jar = str(ROOT / "build" / "images" / "cookies")
    compose.post("/auth/request-link", {"email": OWNER})
    deadline = time.monotonic() + READY_SECONDS
    while not (mails := compose.engine.curl_json(f"http://localhost:8003/mails?to={OWNER}")["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    compose.post("/auth/verify", {"email": OWNER, "code": mails[0]["code"]}, "--cookie-jar", jar)
    return jar


def chat(compose: Composed, cookies: str, **fields: Any) -> dict[str, Any]:
    """An answer."""
    answer: dict[str, Any] = json.loads(compose.post("/v1/chat", CHAT | fields, "--cookie", cookies))
    return answer


def test_both_apps_answer_on_their_ports(compose: Composed) -> None:
    for url in (PRODUCT, GATEWAY):
        assert compose.engine.curl_json(f"{url}/health") == {"status": "ok", "version": version("b2b-chat")}
    told = compose.services()
    assert {name for name, each in told.items() if each["State"] != "running"} == {"migrations"}
    assert told["migrations"]["ExitCode"] == 0


def test_a_chat_goes_from_the_mail_to_the_answer(compose: Composed, cookies: str) -> None:
    answer = chat(compose, cookies)
    assert CHAT["text"] in answer["text"]
    assert answer["status"] == "completed"
    body = {"client_message_id": "second", "text": "And as a stream", "stream": True}
    streamed = compose.post("/v1/chat", body, "--no-buffer", "--cookie", cookies)
    assert streamed.count("event: delta") > 1
    assert streamed.count("event: final") == 1


def test_what_runs_may_do_as_little_as_the_file_says(compose: Composed) -> None:
    for name in ("postgres", "valkey"):
        said = compose("exec", "-T", name, "sh", "-c", "id -un; touch /x 2>&1; ulimit -c")
        assert said.splitlines() == [name, "touch: cannot touch '/x': Read-only file system", "0"]
    for name in ("product_api", "gateway_api", "mail_catcher"):
        said = compose("exec", "-T", name, "sh", "-c", "id -u; touch /x 2>&1; touch /tmp/x && echo own tmp")
        assert said.splitlines() == ["10001", "touch: cannot touch '/x': Read-only file system", "own tmp"]
        limits = compose("exec", "-T", name, "sh", "-c", "grep -E 'CapBnd|NoNewPrivs' /proc/self/status")
        assert limits.split() == ["CapBnd:", "0000000000000000", "NoNewPrivs:", "1"]


def test_valkey_has_the_answers_and_writes_nothing(compose: Composed, cookies: str) -> None:
    chat(compose, cookies, client_message_id="kept")
    assert int(compose("exec", "-T", "valkey", "valkey-cli", "DBSIZE")) > 0
    assert compose("exec", "-T", "valkey", "sh", "-c", "ls -A /data") == ""


def test_production_without_settings_is_refused_by_name(compose: Composed) -> None:
    for name, variable in (("gateway_api", "OPENAI_API_KEY"), ("product_api", "DATABASE_URL")):
        code, said = compose.fails("run", "--rm", "--no-deps", name, APP_ENV="prod")
        assert code == 2
        assert f"{variable} is required" in said


def test_prometheus_comes_along_and_scrapes_both(compose: Composed) -> None:
    compose("--profile", "observe", "up", "--detach", "prometheus")
    deadline = time.monotonic() + READY_SECONDS
    compose.engine.curl("--retry", "60", "--retry-delay", "1", "--retry-all-errors", "http://localhost:9090/-/ready")
    jobs: set[str] = set()
    while jobs != {"product_api", "gateway_api"}:
        assert time.monotonic() < deadline
        found = compose.engine.curl_json("http://localhost:9090/api/v1/query?query=up%3D%3D1")
        jobs = {each["metric"]["job"] for each in found["data"]["result"]}
        time.sleep(0.5)


def test_a_backup_is_restored_and_verified(compose: Composed, cookies: str) -> None:
    chat(compose, cookies, client_message_id="backed-up")
    line = "compose exec -T postgres pg_dump -U b2b_chat --format=custom b2b_chat"
    dump = compose.engine.try_docker(*line.split())
    assert dump.returncode == 0, dump.stderr
    compose("exec", "-T", "postgres", "createdb", "-U", "b2b_chat", "b2b_chat_restored")
    restore = "pg_restore -U b2b_chat --dbname b2b_chat_restored --no-owner --single-transaction --exit-on-error"
    compose("exec", "-T", "postgres", *restore.split(), stdin=dump.stdout)
    compose("run", "--rm", "--no-deps", "migrations", POSTGRES_DB="b2b_chat_restored")
    restored = "DATABASE_URL=postgresql://b2b_chat_app:dev-placeholder@postgres:5432/b2b_chat_restored"
    compose("run", "--rm", "--no-deps", "-e", restored, "product_api", "b2b-chat", "ledger", "verify")


def test_a_release_in_the_documented_order(compose: Composed, cookies: str) -> None:
    for line in ("build product_api", "up -d product_api", "run --rm migrations alembic upgrade head",
                 "restart product_api", "build gateway_api", "up -d gateway_api",
                 "up -d --no-deps product_api"):  # fmt: skip
        compose(*line.split())
    compose.until_healthy()
    assert chat(compose, cookies, client_message_id="released")["status"] == "completed"
    assert "ok" in compose("exec", "-T", "gateway_api", "b2b-chat", "doctor", "gateway")


def test_production_runs_from_a_file_of_settings(compose: Composed) -> None:
    """As on two servers, but for what is not here: certificates, OpenAI, a mail server, the other server."""
    names = ("GATEWAY_SHARED", "SESSION", "AUTH_TOKEN", "INVITE_TOKEN")
    secrets = {f"{name}_SECRET": token_hex(32) for name in names}
    secrets |= {"SMTP_PASSWORD": token_hex(32)}
    composed = {name: token_hex(32) for name in ("POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "VALKEY_PASSWORD")}
    password = composed["POSTGRES_APP_PASSWORD"]
    for role, new in (("b2b_chat", composed["POSTGRES_PASSWORD"]), ("b2b_chat_app", password)):
        compose("exec", "-T", "postgres", "psql", "-U", "b2b_chat", "-c", f"ALTER ROLE {role} PASSWORD '{new}'")
    settings = {
        **secrets,
        "COOKIE_SECURE": "true",
        "COOKIE_SAMESITE": "strict",
        "DATABASE_URL": f"postgresql://b2b_chat_app:{password}@postgres:5432/b2b_chat",
        "GATEWAY_URL": "https://gateway.chat.test",
        "PUBLIC_URL": "https://chat.test",
        "EMAIL_FROM": "chat@chat.test",
        "SMTP_HOST": "smtp.chat.test",
        "SMTP_USER": "chat",
    }
    of_gateway = {"GATEWAY_SHARED_SECRET": secrets["GATEWAY_SHARED_SECRET"],
                  "OPENAI_API_KEY": f"sk-{token_hex(16)}"}  # fmt: skip
    project = compose.engine.root / "project"
    files = {".env": {"APP_ENV": "prod", **composed}, "gateway_api.env": of_gateway, "product_api.env": settings}
    for file, given in files.items():
        (project / file).write_text("".join(f"{variable}={value}\n" for variable, value in given.items()))
    for name in ("gateway_api", "product_api"):
        compose("up", "--detach", name)
    compose.until_healthy()
    assert compose.services()["migrations"]["ExitCode"] == 0
    assert compose.engine.curl_json(f"{PRODUCT}/ready")["detail"]["message"] == "Not ready: gateway."
    told = compose.engine.try_docker("compose", "exec", "-T", "product_api", "b2b-chat", "doctor", "product")
    assert told.returncode == 1
    for line in ("settings", "database", "migrations", "rights", "Valkey"):
        assert re.search(rf"(?m)^ok +{line}", told.stdout.decode()), told.stdout.decode()
    for file in files:
        (project / file).unlink()


def test_stopping_ends_both_apps_by_themselves(compose: Composed) -> None:
    compose("stop", "product_api", "gateway_api")
    told = compose.services()
    assert {told[name]["ExitCode"] for name in ("product_api", "gateway_api")} == {0}
