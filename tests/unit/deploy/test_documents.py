"""Documents name only what exists: links, recipes, commands, tests, alerts; and their commands are pasted by tests."""

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from b2b_chat.cli import main
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import variables
from b2b_chat.product.settings import ProductSettings

ROOT = Path(__file__).parents[3]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("deploy/**/*.md")), ROOT / "tests/README.md"]
RECIPES = set(re.findall(r"^([a-z][a-z-]*)(?: [^:\n]*)?:(?!=)", (ROOT / "justfile").read_text(), re.MULTILINE))
TREE = ("src", "tests", "deploy", "docker", "migrations")
FOLDERS_THAT_PATHS_BEGIN_IN = ("src/b2b_chat", "src/b2b_chat/product", "tests", "tests/support", "deploy")
FILES = "py|md|toml|yml|yaml|json|conf|sql|js|css|html|example|service|lock|png"
LINES_OF_README = 200
BYTES_OF_A_PICTURE = 150 * 1024
PASTED_BY = {
    "README.md": {
        "Try it": "tests/system/test_readme.py",
        "Use it": "tests/system/test_readme.py",
        "Local run (Docker)": "tests/images/test_compose.py",
    },
    "deploy/WALKTHROUGH.md": {
        "From an empty database to a colleague's first chat": "tests/system/test_walkthrough.py",
        "Sign in": "tests/system/test_walkthrough.py",
        "Mail": "tests/system/test_walkthrough.py",
    },
    "deploy/CONTAINERS.md": {
        "Containers": "tests/images/test_compose.py",
        "OpenAI": "tests/images/test_compose.py",
        "The first company": "tests/images/test_compose.py",
    },
    "deploy/WORKERS.md": {"More than one worker": "tests/system/test_up_workers.py"},
    "deploy/WATCHING.md": {"What a host needs": "tests/integration/cli/test_doctor.py"},
    "CONTRIBUTING.md": {"Working on b2b-chat": ".ci/run"},
}
"""By document and section, the test that runs its commands. deploy/README.md needs two servers, or a release."""
DEPLOY = (ROOT / "deploy/README.md").read_text(encoding="utf-8")


def anchors(document: Path) -> set[str]:
    """The places in a document that a link may name, as forges make them of headings."""
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(((?!https?:)[^)]+)\)", document.read_text(encoding="utf-8"))
    for link in links:
        file, _, place = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), link
        assert not place or place in anchors(target), link


def test_the_readme_ends() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LINES_OF_README


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "deploy/pictures").iterdir())
    assert len(pictures) >= 2
    assert [picture for picture in pictures if picture.stat().st_size > BYTES_OF_A_PICTURE] == []


def test_the_readme_shows_the_chat_in_light_and_dark() -> None:
    shown = re.findall(r'(?:src|srcset)="([^"]+)"', (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(shown) == ["deploy/pictures/chat-dark.png", "deploy/pictures/chat-light.png"]
    assert [picture for picture in shown if not (ROOT / picture).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_commands_to_paste_have_their_test(document: Path) -> None:
    sections = re.split(r"^#+ (?=.+$)", document.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    with_commands = {section.partition("\n")[0] for section in sections if "\n```sh\n" in section}
    name = str(document.relative_to(ROOT))
    if name == "deploy/README.md":
        return
    assert with_commands == set(PASTED_BY.get(name, {}))
    assert [test for test in PASTED_BY.get(name, {}).values() if not (ROOT / test).exists()] == []


def test_every_decision_has_its_row() -> None:
    text = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    titles = dict(re.findall(r"^## (\d+)\. (.+)$", text, re.MULTILINE))
    rows = re.findall(r"^\| (\d+) \| (.+) \| [a-z]+ \| (.+) \| (\d{4}-\d\d-\d\d) \|$", text, re.MULTILINE)
    numbers = [int(number) for number, *_ in rows]
    assert numbers == sorted(set(numbers))
    in_force = {number: row for number, row, status, _ in rows if status == "in force"}
    assert {number: row.partition("](")[0].removeprefix("[") for number, row in in_force.items()} == titles
    merged = [status for *_, status, _ in rows if status != "in force"]
    into = [re.fullmatch(r"merged into \[(\d+)\]\(#.+\)", status) for status in merged]
    assert [status for status, found in zip(merged, into, strict=True) if not found or found[1] not in in_force] == []


def names_in(file: Path) -> set[str]:
    """The classes, functions and methods of a module, as `Class.method`."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def test_the_way_of_a_message_has_twelve_stations_that_exist() -> None:
    text = (ROOT / "deploy/MESSAGE.md").read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == list(range(1, 13))
    stations = re.findall(r"`([a-z_/]+\.py)(?:: ([^`]+))?`", text)
    assert len(stations) > 20
    for file, names in stations:
        module = ROOT / "src/b2b_chat" / file
        assert module.exists(), file
        assert set(names.split(", ") if names else []) <= names_in(module), file


def test_the_first_test_is_the_one_that_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block == (ROOT / "tests/integration/product/chat/test_your_first.py").read_text(encoding="utf-8")


def test_every_recipe_and_command_that_is_named_exists() -> None:
    named = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        named |= set(re.findall(r"(?:^|`|run )just ([a-z][a-z-]+)", text, re.MULTILINE))
        commands = set(re.findall(r"(?:^|`|\s)b2b-chat ([a-z][a-z-]+)", text, re.MULTILINE))
        assert commands <= set(main.commands), document
    assert {"backup", "restore", "release", "doctor"} <= named
    assert named <= RECIPES


def test_the_recipes_are_those_that_just_reads() -> None:
    just = Path(sys.executable).with_name("just")
    if not just.exists():
        pytest.skip("just is not installed beside this Python")
    listed = subprocess.run([just, "--summary"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stderr
    assert set(listed.stdout.split()) == RECIPES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_file_that_is_named_exists(document: Path) -> None:
    bases = [document.parent, ROOT, *(ROOT / folder for folder in FOLDERS_THAT_PATHS_BEGIN_IN)]
    names = {path.name for folder in TREE for path in (ROOT / folder).rglob("*")}
    for path in re.findall(rf"`([\w.][\w./-]*\.(?:{FILES}))`", document.read_text(encoding="utf-8")):
        is_there = any((base / path).exists() for base in bases)
        assert is_there or ("/" not in path and path in names), path


def test_everything_that_security_md_refers_to_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    referred = re.findall(r"`((?:tests|deploy)/[^`]+)`", text)
    assert len(referred) > 40
    assert [file for file in referred if not (ROOT / file).exists()] == []


def test_every_placeholder_to_replace_is_in_its_file() -> None:
    edits = re.findall(r"sed -i 's/([^/]+)/[^/]+/g?' /etc/nginx/b2b-chat/(\S+)", DEPLOY)
    assert {file for _, file in edits} == {"product_api.conf", "gateway_api.conf", "allowlist.conf"}
    for pattern, file in edits:
        assert re.search(pattern, (ROOT / "deploy/nginx" / file).read_text()), (pattern, file)


def test_every_alert_has_its_row() -> None:
    rules = re.findall(r"- alert: (\w+)", (ROOT / "deploy/prometheus/alerts.yml").read_text())
    rows = re.findall(r'^\| <a id="\w+"></a>\[(\w+)\]', DEPLOY, re.MULTILINE)
    assert rules == rows


def test_the_order_of_a_release_is_the_specifications() -> None:
    steps = [
        "git pull\n",
        "docker compose build product_api\n",
        "docker compose up -d product_api\n",
        "alembic upgrade head\n",
        "docker compose restart product_api\n",
        "docker compose build gateway_api\n",
        "docker compose up -d gateway_api\n",
    ]
    release = DEPLOY.partition("\n## Release\n")[2]
    places = [release.index(step) for step in steps]
    assert places == sorted(places)


UNITS = {"product": "b2b-chat-product.service", "gateway": "b2b-chat-gateway@.service"}


def systemd_unit(app: str) -> ConfigParser:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names of units are not lower case
    assert unit.read(ROOT / "deploy/systemd" / UNITS[app])
    return unit


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_systemd_gives_running_answers_their_time(app: str) -> None:
    unit = systemd_unit(app)
    settings = {each.name: each.default for each in variables(GatewaySettings if app == "gateway" else ProductSettings)}
    grace_seconds = settings["SHUTDOWN_GRACE_SECONDS"]
    assert int(unit["Service"]["TimeoutStopSec"]) > grace_seconds + 10
    assert unit["Service"]["ExecStart"].endswith(f"b2b-chat {app}")


def test_systemd_starts_a_gateway_beside_another_and_waits_until_it_serves() -> None:
    service = systemd_unit("gateway")["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "all")
    # The file of settings would win over `Environment=`.
    assert service["ExecStart"].startswith("/usr/bin/env GATEWAY_SHARES_PORT=true /opt/b2b-chat/%i/")


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_systemd_keeps_memory_off_the_disk(app: str) -> None:
    unit = systemd_unit(app)
    assert (unit["Service"]["LimitCORE"], unit["Service"]["MemorySwapMax"]) == ("0", "0")
