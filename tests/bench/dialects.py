"""How each kind of server is asked and how its answers are read, down to the text that came."""

import time
import zlib
from typing import Final, Literal, NamedTuple

import msgspec

from b2b_chat.contract.schemas import CHAT_PATH, MODEL_GPT_5_2
from b2b_chat.contract.signing import sign
from b2b_chat.contract.sse import Decoder

DialectName = Literal["product", "gateway", "openai"]

_COMPLETIONS_PATH: Final = "/v1/chat/completions"
_MAX_EVENT_BYTES: Final = 4_194_304
_PADDING: Final = "Please compare the three offers that we got for the office in Kazan, and keep it short. " * 3
_IDS: Final = {
    "company_id": "0b6e4c5e-6f0c-4c39-9d2e-0d9a3f1f5b11",
    "user_id": "5d1f0f34-96a4-4f0e-9a38-6a8c3b1f7a22",
    "conversation_id": "9a7c2f8e-0c1b-4d5e-8f60-7b2d4c9e1a33",
}


class Target(msgspec.Struct, frozen=True):
    """Where a load goes, and in which dialect."""

    dialect: DialectName
    url: str
    credentials: list[str]
    """API keys, of which each sender has one in turn; for the gateway its one shared secret."""
    headers: dict[str, str] = {}


class Ask(NamedTuple):
    """One question: what the upstream is to answer, under a key (a UUID) of its own."""

    key: str
    deltas: int
    rate: float
    stream: bool

    @property
    def prompt(self) -> str:
        """The text that carries the wish to the upstream."""
        return f"{_PADDING}[[upstream key={self.key} deltas={self.deltas} rate={self.rate:g}]]"


def request_bytes(target: Target, ask: Ask, sender: int) -> bytes:
    """The whole HTTP request of a question."""
    credential = target.credentials[sender % len(target.credentials)]
    headers = {"Host": target.url.partition("//")[2], "Content-Type": "application/json", **target.headers}
    messages = [{"role": "user", "content": ask.prompt}]
    if target.dialect == "product":
        path = CHAT_PATH
        body = msgspec.json.encode({"client_message_id": ask.key, "text": ask.prompt, "stream": ask.stream})
        headers["Authorization"] = f"Bearer {credential}"
    elif target.dialect == "gateway":
        path = CHAT_PATH
        body = msgspec.json.encode(
            {
                "model": MODEL_GPT_5_2,
                "messages": messages,
                "stream": ask.stream,
                "max_completion_tokens": 4096,
                "metadata": {**_IDS, "message_id": ask.key},
            }
        )
        headers |= sign(credential.encode(), "POST", path, body, unix_seconds=int(time.time()))
    else:
        path = _COMPLETIONS_PATH
        wish = {"model": MODEL_GPT_5_2, "messages": messages, "stream": ask.stream, "max_completion_tokens": 4096}
        body = msgspec.json.encode(wish | ({"stream_options": {"include_usage": True}} if ask.stream else {}))
        headers["Authorization"] = f"Bearer {credential}"
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Content(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Content = _Content()
    message: _Content = _Content()


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []


_text_of: Final = msgspec.json.Decoder(_Text).decode
_completion_of: Final = msgspec.json.Decoder(_Completion).decode


class Reader:
    """Reads one answer: the checksum of its text, when its pieces came, and whether it came to its end."""

    def __init__(self, target: Target, ask: Ask) -> None:
        self._is_openai = target.dialect == "openai"
        self._stream = ask.stream
        self._decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
        self._body = b""
        self.crc32 = 0
        self.deltas = 0
        self.first_at = 0.0
        self.last_at = 0.0
        self.gaps: list[float] = []
        self.is_whole = False
        self.failure = ""

    def feed(self, body: bytes) -> None:
        """Take a piece of the answer's body."""
        if not self._stream:
            self._body += body
            return
        had = self.deltas
        for event in self._decoder.feed(body):
            if self._is_openai:
                self._completion_event(event.data)
            elif event.name == "delta":
                self._add(_text_of(event.data).text)
            elif event.name == "final":
                self.is_whole = zlib.crc32(_text_of(event.data).text.encode()) == self.crc32
            elif event.name == "error":
                self.failure = event.data.decode()
        if self.deltas > had:
            now = time.monotonic()
            if had:
                self.gaps.append(now - self.last_at)
            else:
                self.first_at = now
            self.last_at = now

    def end(self) -> None:
        """The body has come to its end."""
        if self._stream:
            return
        self.first_at = time.monotonic()
        if self._is_openai:
            self._add(_completion_of(self._body).choices[0].message.content or "")
        else:
            self._add(_text_of(self._body).text)
        self.is_whole = True

    def _completion_event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.is_whole = True
            return
        for choice in _completion_of(data).choices:
            if choice.delta.content:
                self._add(choice.delta.content)

    def _add(self, text: str) -> None:
        self.deltas += text.count(" ")
        self.crc32 = zlib.crc32(text.encode(), self.crc32)
