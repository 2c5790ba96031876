"""Why a call has no response, or not all of one.

HttpError
├── CannotConnect     no connection could be made
│   └── ConnectTimeout    not in time
├── NoAnswer          the connection ended before the response's head
├── AnswerBroken      the connection ended in the middle of the response
├── AnswerTooLarge    the response is larger than its reader accepts
└── NotHttp           not an HTTP response, or in an encoding that was not asked for
"""


class HttpError(Exception):
    """A call failed."""


class CannotConnect(HttpError):
    """No connection could be made: an unknown name, no listener, or a certificate that is not trusted."""


class ConnectTimeout(CannotConnect):
    """No connection could be made in time."""


class NoAnswer(HttpError):
    """The connection ended before the response's head."""


class AnswerBroken(HttpError):
    """The connection ended in the middle of the response."""


class AnswerTooLarge(HttpError):
    """The response is larger than its reader accepts."""


class NotHttp(HttpError):
    """The peer sent something that is not HTTP/1.1, or in an encoding that was not asked for."""
