"""JSON lines that hold ids and never content: on stdout those of an app, on stderr those of a command.

The last processor keeps only fields that are on a list, so no secret, address or message text can pass, not even from
a library. Records of libraries lose their text and keep their origin; exceptions keep their types and places and lose
their messages, which quote SQL, bodies and addresses.
"""

import logging
import multiprocessing
import re
import sys
import threading
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

import msgspec
import structlog

from b2b_chat.kit.current_request import client_request_id, current_request_id

Stream: TypeAlias = Literal["stdout", "stderr"]

ALLOWED_FIELDS: Final = frozenset(
    {
        "app", "assistant_message_id", "at", "attempt", "client_request_id", "code", "company_id", "conversation_id",
        "count", "deltas", "duration_ms", "event", "exception", "failures", "level", "logger", "mail_id",
        "message_id", "method", "outcome", "place", "port", "problem", "request_id", "route", "status", "upstream",
        "user_id", "variable", "version", "workers",
    }
)  # fmt: skip
"""Every field that may appear in a log line."""

SPEAKING_LOGGERS: Final = frozenset({"_granian"})
"""Libraries whose message texts are fixed and useful to an operator (start, stop, a worker's end)."""

log = structlog.get_logger(__name__)

_ALWAYS: Final = frozenset({"app", "at", "event", "level", "request_id"})
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Logging never raises into its caller.
_encoder = msgspec.json.Encoder(enc_hook=lambda value: type(value).__qualname__)


def configure_logging(app: str, *, level: str = "INFO") -> None:
    """Send structlog and the standard library's logging through the same list to stdout."""
    _configure(app, "stdout", level)
    for name in SPEAKING_LOGGERS:
        speaking = logging.getLogger(name)
        speaking.setLevel(logging.INFO)
        # Granian gives its logger a handler of its own before it calls us.
        speaking.handlers, speaking.propagate, speaking.disabled = [], True, False
    if multiprocessing.parent_process() is not None:  # a server's worker: the process is the app's own
        log_what_python_prints()


def configure_command_logging() -> None:
    """Log what goes wrong in a command to stderr, by the same list: stdout holds the command's result alone.

    Unconfigured, structlog would show a traceback with the values of its variables, passwords among them.
    """
    _configure("b2b-chat", "stderr", "WARNING")


def _configure(app: str, stream: Stream, level: str) -> None:
    structlog.configure(
        processors=[structlog.processors.add_log_level, _Stamp(app), keep_allowed, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=lambda *_: structlog.BytesLogger(getattr(sys, stream).buffer),
        cache_logger_on_first_use=stream == "stdout",  # an app that a command serves configures its own
    )
    root = logging.getLogger()
    root.handlers = [LibraryHandler(app, stream)]
    # Below WARNING libraries log every statement and every byte.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def server_logging(app: str) -> dict[str, Any]:
    """The same for the server's own lines before and outside of an app, as a `logging.config` dictionary."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"lines": {"()": LibraryHandler, "app": app}},
        "loggers": {name: {"handlers": ["lines"], "level": "INFO", "propagate": False} for name in SPEAKING_LOGGERS},
    }


def log_what_python_prints() -> None:
    """Log warnings and uncaught exceptions; Python would print them with their messages."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda unraisable: _log_uncaught(None, unraisable.exc_value, None)
    threading.excepthook = lambda caught: _log_uncaught(None, caught.exc_value, None)


def _log_uncaught(_kind: object, error: BaseException | None, _trace: object) -> None:
    log.critical("uncaught_exception", exc_info=error)


def keep_allowed(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Drop every field that is not on the list, and every event name that is not one."""
    kept = {name: value for name, value in fields.items() if name in ALLOWED_FIELDS}
    if not _EVENT.fullmatch(str(kept.get("event", ""))):
        kept["event"] = "unnamed_event"
    if "exc_info" in fields:
        kept["exception"] = describe_exception(fields["exc_info"])
    return kept


def describe_exception(exc_info: Any) -> list[str]:
    """Return the chain of an exception as `Type at file:line in function` lines, without any message."""
    error = exc_info if isinstance(exc_info, BaseException) else None
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif exc_info is True:
        error = sys.exc_info()[1]
    lines: list[str] = []
    while error is not None:
        lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
        lines += _places(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


def _places(trace: TracebackType | None) -> list[str]:
    return [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(trace)]


class _Stamp:
    """Adds the time, the app and the request id."""

    def __init__(self, app: str) -> None:
        self._app = app

    def __call__(self, _logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        fields["at"] = datetime.now(UTC)
        fields["app"] = self._app
        request_id = current_request_id.get()
        if request_id is not None:
            fields["request_id"] = request_id
            if (of_client := client_request_id.get()) is not None:
                fields["client_request_id"] = of_client
        return fields


def _render(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> bytes:
    try:
        return _encoder.encode(fields)
    except UnicodeEncodeError:  # half a surrogate pair
        return _encoder.encode({name: value for name, value in fields.items() if name in _ALWAYS})


class LibraryHandler(logging.Handler):
    """Writes a library's record without its text, unless the library is one whose texts are known to be safe."""

    def __init__(self, app: str, stream: Stream = "stdout") -> None:
        super().__init__()
        self._stamp = _Stamp(app)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        fields: dict[str, Any] = {
            "event": "library_log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "place": f"{record.module}:{record.lineno}",
        }
        if record.name in SPEAKING_LOGGERS:
            with suppress(TypeError, ValueError):  # its arguments may not fit its text
                fields["problem"] = record.getMessage()
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        kept = keep_allowed(None, "", self._stamp(None, "", fields))
        stream = getattr(sys, self._stream)
        stream.buffer.write(_render(None, "", kept) + b"\n")
        stream.buffer.flush()
