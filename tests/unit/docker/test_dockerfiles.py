"""What the Dockerfiles say, as far as it shows without building them; `just images-test` builds and runs them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
EXTRAS = {"product_api": "product", "gateway_api": "gateway", "sandbox": "sandbox"}


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def lines_of(dockerfile: Path) -> list[str]:
    """The instructions, one a line."""
    joined = dockerfile.read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def last_stage(dockerfile: Path) -> list[str]:
    lines = lines_of(dockerfile)
    return lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]


def test_there_is_one_for_each_app() -> None:
    assert {path.name.removesuffix(".Dockerfile") for path in DOCKERFILES} == set(EXTRAS)


def test_hadolint_has_nothing_to_say(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")  # from the extra `test`
    linted = subprocess.run([hadolint, "--no-color", dockerfile], check=False, capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_base_is_named_by_its_digest_the_same_everywhere(dockerfile: Path) -> None:
    (argument,) = [line for line in lines_of(dockerfile) if line.startswith("ARG PYTHON_IMAGE")]
    assert re.fullmatch(r"ARG PYTHON_IMAGE=docker\.io/library/python@sha256:[0-9a-f]{64}", argument)
    assert argument.partition("=")[2] in (ROOT / "compose.yaml").read_text()
    sources = [line.split()[1] for line in lines_of(dockerfile) if line.startswith("FROM ")]
    assert set(sources) == {"${PYTHON_IMAGE}"}
    assert len(sources) == 2


def test_the_installer_is_known_by_its_hash(dockerfile: Path) -> None:
    (installs,) = [line for line in lines_of(dockerfile) if "pip install" in line]
    assert installs == "RUN pip install --no-cache-dir --require-hashes --requirement /uv.txt"
    pinned = (ROOT / "docker/uv.txt").read_text()
    assert pinned.count("uv==") >= 1
    assert "--hash=sha256:" in pinned


def test_it_has_every_member_of_the_workspace_before_it_reads_the_lock(dockerfile: Path) -> None:
    """Without one of them uv takes the lock for stale."""
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    lines = lines_of(dockerfile)
    first_sync = next(number for number, line in enumerate(lines) if "uv sync" in line)
    for member in members:
        assert f"COPY {member}/pyproject.toml {member}/" in lines[:first_sync]


def test_it_installs_by_the_lock_what_its_app_needs_and_no_more(dockerfile: Path) -> None:
    extra = EXTRAS[dockerfile.name.removesuffix(".Dockerfile")]
    syncs = [line for line in lines_of(dockerfile) if "uv sync" in line]
    assert len(syncs) == 2
    for line in syncs:
        assert f"uv sync --locked --no-dev --no-install-project --extra {extra}" in line or (
            f"uv sync --locked --no-dev --no-editable --extra {extra}" in line
        )


def test_the_last_stage_is_lean_and_runs_unprivileged(dockerfile: Path) -> None:
    stage = last_stage(dockerfile)
    assert "USER 10001:10001" in stage
    assert "STOPSIGNAL SIGTERM" in stage
    assert [line for line in stage if line.startswith("COPY ")] == ["COPY --from=build /app /app"]
    # In exec form: a shell in between would keep SIGTERM to itself.
    assert stage[-1].startswith('CMD ["b2b-chat", ')
    (health,) = [line for line in stage if line.startswith("HEALTHCHECK ")]
    assert health == "HEALTHCHECK NONE" or 'CMD ["python", "-I", "-S", "/app/healthcheck.py", ' in health
    for label in ("title", "description", "version", "revision", "created", "base.name"):
        assert f"org.opencontainers.image.{label}=" in " ".join(stage)


def test_nothing_secret_goes_to_the_builder() -> None:
    first, *allowed = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    assert allowed == [
        "!docker/healthcheck.py",
        "!docker/uv.txt",
        "!migrations",
        "!src",
        "!pyproject.toml",
        "!README.md",
        "!LICENSE",
        "!uv.lock",
        "**/__pycache__",
    ]
