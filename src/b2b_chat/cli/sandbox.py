"""Commands that run the whole software on this machine: `demo` and `up`."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from b2b_chat.cli.failures import fail, needs, settings_explained

if TYPE_CHECKING:
    from b2b_chat.sandbox.data_dir import DataDir
    from b2b_chat.sandbox.stack import Addresses

_SIGNALLED: Final = 128

_data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the database, secrets, API key and logs. [default: b2b-chat in your data home]",
)


@click.command()
@click.argument("text", required=False, callback=lambda _context, _argument, text: _encodable(text))
@click.option(
    "--tour", "is_tour", is_flag=True, help="Show a retry, a cut answer, an outage, a stop, an empty balance."
)
@_data_dir_option
def demo(*, text: str | None, is_tour: bool, data_dir: Path | None) -> None:
    """Start everything, send one chat, stop everything.

    Sends TEXT through product_api and gateway_api. Shows the answer as it arrives, its usage and its cost, and that
    a repeat of the message costs nothing.

    PostgreSQL and a simulated OpenAI are embedded. Set DATABASE_URL, OPENAI_API_KEY or GATEWAY_URL to use your own.
    """
    if is_tour:
        _tour(text, data_dir)
        return
    with _sandbox():
        from b2b_chat.sandbox import demo as show
        from b2b_chat.sandbox.stack import Stack

        environ = {"OPENAI_SIMULATOR_TOKENS_PER_SECOND": show.TOKENS_PER_SECOND, **os.environ}
        with Stack(_data_dir(data_dir), environ, _tell) as stack:
            addresses = stack.start()
            _tell("")
            if isinstance(sys.stdout, TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # a model may write what this terminal cannot show
            show.run_demo(addresses.product_url, addresses.api_key, show.DEFAULT_TEXT if text is None else text, _write)
            _tell("\nStopping everything that was started")


def _tour(text: str | None, data_dir: Path | None) -> None:
    """Start everything, show what failures look like to a client, stop everything."""
    if text is not None:
        raise click.UsageError("--tour has texts of its own.")
    with _sandbox():
        from b2b_chat.sandbox import tour
        from b2b_chat.sandbox.errors import SandboxError
        from b2b_chat.sandbox.plan import is_given
        from b2b_chat.sandbox.stack import Stack

        if given := [name for name in tour.NEEDS_THE_SIMULATOR if is_given(os.environ, name)]:
            raise SandboxError(f"The tour needs the simulated OpenAI. Unset {', '.join(given)}.")
        with Stack(_data_dir(data_dir), {**os.environ, **tour.SETTINGS}, _tell) as stack:
            addresses = stack.start()
            tour.run_tour(addresses.product_url, addresses.api_key, stack.poor_api_key(), _write)
            _tell("\nStopping everything that was started")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON on stdout once everything is ready.")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes of each app; several share a Valkey. [default: 1]"
)
@_data_dir_option
def up(*, as_json: bool, workers: int | None, data_dir: Path | None) -> None:
    """Start everything and leave it running.

    Prints the addresses, an API key, and an address that signs a demo person in once; Enter prints another one.
    Runs until Ctrl-C or SIGTERM. The data stays for the next start.

    PostgreSQL, Valkey and a simulated OpenAI are embedded. Set DATABASE_URL, VALKEY_URL, OPENAI_API_KEY or GATEWAY_URL
    to use your own.
    """
    with _sandbox():
        from b2b_chat.sandbox.stack import Stack

        environ = os.environ if workers is None else {**os.environ, "WORKERS": str(workers)}
        with Stack(_data_dir(data_dir), environ, _tell) as stack:
            addresses = stack.start()
            sign_in_url = stack.sign_in_url()
            report = {**asdict(addresses), "sign_in_url": sign_in_url}
            _write(json.dumps(report) + "\n" if as_json else _listing(addresses, sign_in_url))
            stack.watch()
            _tell("Stopping")


@contextmanager
def _sandbox() -> Iterator[None]:
    """Turn the failures of a command into a line and an exit code, and let Ctrl-C stop it in order."""
    with needs("sandbox"), settings_explained():
        from b2b_chat.sandbox.errors import SandboxError
        from b2b_chat.sandbox.interruption import Interrupted, interruptible

        try:
            with interruptible():
                yield
        except SandboxError as error:
            fail(str(error))
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # the reader of our output is gone; click ends quietly
            fail(f"the system refused: {error}.")
        except Interrupted as interruption:
            fail("stopped, with everything that was started.", code=_SIGNALLED + interruption.by)


def _encodable(text: str | None) -> str | None:
    """Return the text, or refuse bytes from the shell that are no text in the terminal's encoding."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not valid UTF-8.") from None
    return text


def _data_dir(path: Path | None) -> "DataDir":
    from b2b_chat.sandbox.data_dir import DataDir, default_path

    return DataDir(path or default_path())


def _listing(addresses: "Addresses", sign_in_url: str | None) -> str:
    """Return the addresses as a list for people, with a command to try."""
    from b2b_chat.sandbox.sign_in import describe_sign_in, is_at_terminal

    rows = [f"  {name.replace('_', ' '):13} {value}" for name, value in asdict(addresses).items() if value]
    example = (
        f"curl -N {addresses.product_url}/v1/chat -H 'Authorization: Bearer {addresses.api_key}' "
        "-H 'Content-Type: application/json' "
        """-d '{"client_message_id": "1", "text": "Hello", "stream": true}'"""
    )
    lines = ["", *rows, "", "Try it:", f"  {example}", ""]
    if addresses.mail_url:
        lines += [describe_sign_in(sign_in_url), *(["Enter prints another."] if is_at_terminal() else []), ""]
    return "\n".join([*lines, "Ctrl-C stops everything; the data stays.", ""])


def _tell(line: str) -> None:
    """Print a line of progress on stderr: stdout is for results."""
    click.echo(line, err=True)


def _write(text: str) -> None:
    """Print a piece of the result at once."""
    click.echo(text, nl=False)


COMMANDS: Final = (demo, up)
