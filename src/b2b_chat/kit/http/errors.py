"""What can go wrong on the way.

HttpError
├── CannotConnect     no connection could be made
│   └── ConnectTimeout    not in time
├── NoAnswer          the connection ended before a word of the answer
├── AnswerBroken      it ended in mid-answer
├── AnswerTooLarge    there is more of it than its reader takes
└── NotHttp           what came is not HTTP, or in an encoding that was not asked for
"""


class HttpError(Exception):
    """A call came to nothing."""


class CannotConnect(HttpError):
    """No connection could be made: the name is unknown, nobody listens, the certificate is not theirs."""


class ConnectTimeout(CannotConnect):
    """No connection could be made in time."""


class NoAnswer(HttpError):
    """The connection ended before a word of the answer."""


class AnswerBroken(HttpError):
    """The connection ended in mid-answer."""


class AnswerTooLarge(HttpError):
    """There is more of the answer than its reader takes."""


class NotHttp(HttpError):
    """What came is not HTTP/1.1, or encoded as nobody asked for."""
