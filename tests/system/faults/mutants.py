"""Shows that the fault suite can fail: with a guard taken out of the software, it must.

Each mutant is a copy of the sources with one condition, constraint or check less. The cases that watch over it run
against that copy, and against one that was left whole.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
COPIED: Final = ("src", "migrations", "tests", "pyproject.toml")
CASES: Final = ("tests/system/faults/test_sends.py", "tests/system/faults/test_signatures.py")
TIMEOUT_SECONDS: Final = 900
CHAT_SQL: Final = "src/b2b_chat/product/chat/statements.py"
FIRST_TABLES: Final = "migrations/versions/0001_first_tables.py"
IS_LIVE: Final = "\n              AND messages.status IN ('pending', 'streaming')"


class Mutant(NamedTuple):
    """Something that is taken out."""

    name: str
    file: str
    after: str
    """Where in the file: the first `old` behind this text is replaced."""
    old: str
    new: str


MUTANTS: Final = (
    Mutant(
        "UNIQUE (client_message_id) of a sender",
        "migrations/versions/0018_senders.py",
        "",
        "unique=True,",
        "",
    ),
    Mutant(
        "UNIQUE ledger (message_id)",
        FIRST_TABLES,
        "",
        'sa.UniqueConstraint("message_id", name=op.f("uq_ledger_message_id")),',
        "",
    ),
    Mutant("one run per conversation", FIRST_TABLES, '"uq_messages_one_run"', "unique=True,", "unique=False,"),
    Mutant("balance condition of a send", CHAT_SQL, "ADMIT: Final", " AND holdable.amount >= $4", ""),
    Mutant(
        "CHECK (balance >= held)",
        FIRST_TABLES,
        "",
        'sa.CheckConstraint("balance_credits >= held_credits", name=op.f("ck_accounts_held_is_covered")),',
        "",
    ),
    Mutant("state condition of a settlement", CHAT_SQL, "SETTLE: Final", IS_LIVE, ""),
    Mutant("state condition of giving up", CHAT_SQL, "FAIL: Final", IS_LIVE, ""),
    Mutant("state condition of a retry", CHAT_SQL, "REOPEN: Final", " AND status = 'error'", ""),
    Mutant("append-only ledger", FIRST_TABLES, "", "for event, level in _FORBIDDEN:", "for event, level in ():"),
    Mutant(
        "check of the signature",
        "src/b2b_chat/contract/signing.py",
        "",
        "    if not any(matches):\n        raise InvalidSignature\n",
        "",
    ),
)


def main() -> int:
    """Run the cases against every mutant, print a table, and return whether every one was noticed.

    Words on the command line choose mutants by name.
    """
    rows = []
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(word in mutant.name for word in sys.argv[1:])]
    for mutant in (None, *chosen):
        started_at = time.monotonic()
        failed = _run(mutant)
        as_it_should = bool(failed) == (mutant is not None)
        rows.append(as_it_should)
        name = mutant.name if mutant else "nothing (control)"
        verdict = ("noticed" if mutant else "passes") if as_it_should else "NOT AS IT SHOULD BE"
        seconds = time.monotonic() - started_at
        print(f"{name:38} {verdict:20} {seconds:5.0f} s  {failed}", flush=True)  # noqa: T201 - the table is the point
    return 0 if all(rows) else 1


def _run(mutant: Mutant | None) -> str:
    """The first case that failed, or nothing."""
    with tempfile.TemporaryDirectory(prefix="b2b-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / name)
        if mutant is not None:
            _mutate(root / mutant.file, mutant)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *CASES],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root / "src"), "FAULT_SEEDS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    if done.returncode == 0:
        return ""
    failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failures[0].rpartition("::")[2].partition(" ")[0] if failures else done.stdout[-2000:] + done.stderr[-2000:]


def _mutate(path: Path, mutant: Mutant) -> None:
    text = path.read_text()
    place = text.index(mutant.old, text.index(mutant.after))
    path.write_text(text[:place] + mutant.new + text[place + len(mutant.old) :])


if __name__ == "__main__":
    sys.exit(main())
