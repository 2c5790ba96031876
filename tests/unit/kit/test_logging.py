"""What a log line may hold, and that nothing else can be in one, from any logger."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any
from uuid import UUID

import pytest
import structlog

from b2b_chat.kit import logging as kit_logging
from b2b_chat.kit.current_request import current_request_id
from b2b_chat.kit.logging import ALLOWED_FIELDS, configure_logging, describe_exception, keep_allowed

CANARY = "canary-7c1e"

library = logging.getLogger("some.library")


class Output:
    """What is written on stdout."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self.stream = io.TextIOWrapper(self._written)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log lines so far."""
        return [json.loads(line) for line in self._written.getvalue().splitlines()]

    @property
    def is_clean(self) -> bool:
        """Whether there are lines, with nothing in them that was planted."""
        return bool(self.lines) and CANARY not in json.dumps(self.lines)


@contextmanager
def logging_to_output(level: str = "DEBUG") -> Iterator[Output]:
    """Logging as an app has it, for a block."""
    root, granian = logging.getLogger(), logging.getLogger("_granian")
    before = structlog.get_config(), root.handlers, root.level, vars(granian).copy()
    output = Output()
    with redirect_stdout(output.stream):
        configure_logging("test_app", level=level)
        try:
            yield output
        finally:
            structlog.configure(**before[0])
            root.handlers = before[1]
            root.setLevel(before[2])
            vars(granian).update(before[3])


def ours() -> Any:
    """A logger of ours; a new one, since they keep how they were configured when first used."""
    return structlog.get_logger("ours")


def fail(*, by: type[Exception] = ValueError) -> None:
    raise by(CANARY)


def log_a_failure(log: Callable[[], None]) -> None:
    try:
        fail()
    except ValueError:
        log()


def log_a_chain() -> None:
    try:
        try:
            try:
                fail(by=KeyError)
            except KeyError:
                fail(by=TypeError)
        except TypeError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError as error:
        ours().error("failed", exc_info=error)


def log_a_note() -> None:
    error = ValueError(CANARY)
    error.add_note(CANARY)
    ours().error("failed", exc_info=error)


def fail_in_a_callback() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.01)

    asyncio.run(main())


def fail_in_a_task() -> None:
    async def failing() -> None:
        fail()

    async def main() -> None:
        task = asyncio.ensure_future(failing())
        await asyncio.wait({task})
        del task

    asyncio.run(main())


LEAKS: dict[str, Callable[[], object]] = {
    "an extra field": lambda: ours().info("sent", text=CANARY, email=CANARY, Authorization=CANARY),
    "a bound field": lambda: ours().bind(api_key=CANARY).warning("sent"),
    "an event made of what happened": lambda: ours().info(f"sent {CANARY} to {CANARY}"),
    "an event that looks like a name": lambda: ours().info(CANARY),
    "an event with arguments": lambda: ours().info("sent %s", CANARY),
    "an exception's message": lambda: log_a_failure(lambda: ours().exception("failed")),
    "an exception's cause and context": log_a_chain,
    "an exception's notes": log_a_note,
    "a stack": lambda: ours().info("here", stack_info=CANARY),
    "a library's text": lambda: library.error(f"cannot send {CANARY}"),
    "a library's arguments": lambda: library.error("cannot send %s", CANARY),
    "a library's extra": lambda: library.error("cannot send", extra={"email": CANARY}),
    "a library's exception": lambda: log_a_failure(lambda: library.exception(CANARY)),
    "a callback that failed": fail_in_a_callback,
    "a task that failed unseen": fail_in_a_task,
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_canary_does_not_pass(how: str) -> None:
    with logging_to_output() as output:
        LEAKS[how]()
        assert output.is_clean


def test_a_planted_leak_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_logging, "ALLOWED_FIELDS", ALLOWED_FIELDS | {"text"})
    with logging_to_output() as output:
        ours().info("sent", text=CANARY)
        assert not output.is_clean


def test_no_lines_at_all_are_not_clean() -> None:
    with logging_to_output() as output:
        library.info("hidden")
        assert not output.is_clean


def test_a_line_holds_time_app_event_and_request() -> None:
    token = current_request_id.set("mine")
    with logging_to_output() as output:
        ours().warning("it_happened", status=200, count=3, code="x")
    current_request_id.reset(token)
    (line,) = output.lines
    assert line.pop("at").endswith("Z")
    assert line == {
        "app": "test_app",
        "event": "it_happened",
        "level": "warning",
        "request_id": "mine",
        "status": 200,
        "count": 3,
        "code": "x",
    }


def test_a_librarys_line_names_its_origin() -> None:
    with logging_to_output() as output:
        library.warning("words")
    (line,) = output.lines
    assert (line["event"], line["level"], line["logger"]) == ("library_log", "warning", "some.library")
    assert line["place"].startswith("test_logging:")
    assert "problem" not in line


def test_libraries_that_speak_safely_are_heard() -> None:
    with logging_to_output() as output:
        logging.getLogger("_granian").info("Started %s", "worker")
    (line,) = output.lines
    assert line["problem"] == "Started worker"


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("INFO", ["info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_the_level_is_ours_and_libraries_are_quiet_below_warning(level: str, heard: list[str]) -> None:
    with logging_to_output(level) as output:
        log = ours()
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("spoke")
            getattr(library, name)("spoke")
    assert [line["level"] for line in output.lines if line["event"] == "spoke"] == heard
    assert [line["level"] for line in output.lines if line["event"] == "library_log"] == [
        each for each in heard if each in {"warning", "error"}
    ]


def test_ids_can_be_logged_as_they_are() -> None:
    with logging_to_output() as output:
        ours().info("sent", message_id=UUID(int=7), duration_ms=1.5)
    assert output.lines[0]["message_id"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize("value", [object(), {1: object()}, float("nan"), "\ud800", b"\xff", ValueError(CANARY)])
def test_a_value_that_is_no_json_does_not_fail_the_caller(value: object) -> None:
    with logging_to_output() as output:
        ours().info("sent", code=value)
        ours().info("went_on")
        assert output.is_clean
    assert [line["event"] for line in output.lines] == ["sent", "went_on"]


def test_a_librarys_record_whose_arguments_do_not_fit_is_logged_without_its_text() -> None:
    with logging_to_output() as output:
        logging.getLogger("_granian").warning("%d", CANARY)
        assert output.is_clean


class TestKeepAllowed:
    def test_only_fields_of_the_list_stay(self) -> None:
        everything = dict.fromkeys(ALLOWED_FIELDS, "x") | {"text": "x", "password": "x"}
        assert set(keep_allowed(None, "", everything)) == ALLOWED_FIELDS

    @pytest.mark.parametrize("event", ["", "Hello", "two words", "x" * 65, "a-b", "1st", "ends\n", None, 5])
    def test_an_event_is_a_name_or_has_none(self, event: object) -> None:
        assert keep_allowed(None, "", {"event": event})["event"] == "unnamed_event"


class TestDescribeException:
    def test_types_and_places_of_the_whole_chain(self) -> None:
        try:
            try:
                int("canary")
            except ValueError as error:
                raise RuntimeError("canary") from error
        except RuntimeError as error:
            for given in (error, (type(error), error, error.__traceback__), True):
                lines = describe_exception(given)
                assert [line for line in lines if not line.startswith(" ")] == [
                    "builtins.RuntimeError",
                    "builtins.ValueError",
                ]
                assert "test_types_and_places_of_the_whole_chain" in lines[1]
                assert "canary" not in "".join(lines)

    def test_what_was_hidden_by_from_none_stays_hidden(self) -> None:
        def hide() -> None:
            try:
                int("x")
            except ValueError:
                raise RuntimeError from None

        with pytest.raises(RuntimeError) as raised:
            hide()
        assert "builtins.ValueError" not in describe_exception(raised.value)

    @pytest.mark.parametrize("nothing", [None, False, (None, None, None)])
    def test_without_an_exception_there_is_nothing(self, nothing: object) -> None:
        assert describe_exception(nothing) == []


UNCAUGHT = """
import sys, threading, warnings
from b2b_chat.kit.logging import configure_logging, log_what_python_prints
configure_logging("test_app")
log_what_python_prints()
class Bad:
    def __del__(self):
        raise ValueError("canary-7c1e")
def fail():
    raise ValueError("canary-7c1e")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
warnings.warn("canary-7c1e")
bad = Bad()
del bad
fail()
"""


def test_what_python_itself_would_print_is_logged_without_its_words() -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["uncaught_exception", "library_log", *["uncaught_exception"] * 2]
    assert lines[-1]["exception"][0] == "builtins.ValueError"
    assert CANARY not in done.stdout + done.stderr
    assert done.stderr == ""


def test_the_servers_own_lines_are_ours() -> None:
    code = "import logging.config; from b2b_chat.kit.logging import server_logging; "
    code += "logging.config.dictConfig(server_logging('test_app')); logging.getLogger('_granian').info('Started')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = json.loads(done.stdout)
    assert (line["app"], line["problem"], done.stderr) == ("test_app", "Started", "")
