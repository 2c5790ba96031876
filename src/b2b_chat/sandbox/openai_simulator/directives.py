"""A request's directives to the simulator: how to answer, or how to fail.

A directive is `key=value`, several stand with `;` between them, and a bare `key` means `key=true`. They come by the
header `X-Simulate: status=503; retry_after=2` or in the last user message as `[[simulate: cut_after=3]]`, since a
gateway forwards no headers. Where both name a key, the header wins.

In an answer that is not streamed, an event "after N deltas" happens in the middle of the body.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct

from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, ApiError, Refused

_IN_PROMPT: Final = re.compile(r"\[\[simulate:(.*?)\]\]", re.DOTALL)
_MARK: Final = "[[simulate:"

Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0)]


class Directives(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All directives; without any the answer is plain and complete."""

    # How to answer.
    text: str | None = None
    """Answer exactly this; percent-encoded, so that `a%00b%ED%A0%80` holds a NUL and a lone surrogate."""
    tool: str | None = None
    """Call this tool, where it is offered and the last message is no tool's result; bare, the first one offered."""
    calls: Annotated[int, Meta(ge=1, le=128)] = 1
    """How many calls of the tool there are."""
    arguments: str | None = None
    """What the tool is called with; percent-encoded. Without it, the simplest value of the tool's schema."""
    refusal: bool = False
    """Send the text as a refusal."""
    tokens: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    """Answer with exactly so many tokens; 0 is an empty answer."""
    tps: Annotated[float, Meta(ge=0)] | None = None
    """Tokens a second; 0 for as fast as possible."""
    reasoning_tokens: Count = 0
    """Hidden tokens, counted in `completion_tokens` and against the limit; they come before the text, at `tps`."""
    cached_tokens: Count = 0
    """How much of the prompt to report as cached."""
    burst: Annotated[int, Meta(ge=1)] | None = None
    """Send so many deltas in one write."""
    framing: Literal["lf", "crlf", "cr", "comments", "fields", "no_space", "multiline", "split"] = "lf"
    """How events are written; see `events.FRAMINGS`."""
    key: str | None = None
    """Names a group of calls, for `fail_times` and for finding them in `/simulator/requests`."""

    # Failing, and when.
    fail_times: Count | None = None
    """Fail only for the first so many calls of this `key`, then answer."""
    delay_ms: Milliseconds = 0
    """Wait before the headers."""
    first_token_delay_ms: Milliseconds = 0
    """Send the headers and the role at once, then wait before the first text."""

    # Instead of an answer.
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    """Refuse with this status, and the error that goes with it."""
    error: str | None = None
    """Refuse with this error; see `api_errors.ERRORS`. A `status` beside it changes the error's own."""
    retry_after: str | None = None
    """Sent as the header `Retry-After` of a refusal, as it stands."""
    retry_after_ms: str | None = None
    """Sent as the header `retry-after-ms` of a refusal, as it stands."""
    no_answer: bool = False
    """Accept the request and never answer."""
    close: bool = False
    """Close the connection before the headers."""
    reset: bool = False
    """Reset the connection (RST) before the headers."""

    # In the middle of an answer.
    cut_after: Count | None = None
    """After N deltas close the connection; the body is not ended."""
    reset_after: Count | None = None
    """After N deltas reset the connection (RST)."""
    half_chunk_after: Count | None = None
    """After N deltas send a part of an HTTP chunk and close the connection."""
    stall_after: Count | None = None
    """After N deltas send nothing for `stall_seconds`, then go on."""
    stall_seconds: Annotated[float, Meta(ge=0)] = float("inf")
    """How long a stall is; without it, for as long as the caller waits."""
    malformed_after: Count | None = None
    """After N deltas send an event that is not as a chunk should be, then go on."""
    malformed: Literal["json", "array", "number", "shape", "utf8", "no_choices"] = "json"
    """Which one; see `events.MALFORMED`."""
    error_after: Count | None = None
    """After N deltas send an in-band error event (`error` names it), and end the stream."""
    content_filter_after: Count | None = None
    """End the answer after N tokens with finish_reason `content_filter`."""

    # At an answer's end.
    no_finish: bool = False
    """Leave out the finish_reason."""
    no_done: bool = False
    """Leave out `data: [DONE]`."""
    usage: Literal["normal", "none", "zero", "bare", "twice", "after_done", "with_finish"] = "normal"
    """Report no usage, zeros, the figures without details, twice, late, or in the chunk of the finish_reason."""

    @property
    def healed(self) -> "Directives":
        """The same wish for an answer, without the fault."""
        return Directives(
            text=self.text,
            tool=self.tool,
            calls=self.calls,
            arguments=self.arguments,
            refusal=self.refusal,
            tokens=self.tokens,
            tps=self.tps,
            reasoning_tokens=self.reasoning_tokens,
            cached_tokens=self.cached_tokens,
            burst=self.burst,
            framing=self.framing,
            key=self.key,
        )


def read(text: str) -> dict[str, str]:
    """Take `key=value; key=value` apart."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {key.strip(): value.strip() if equals else "true" for key, equals, value in pairs}


def read_prompt(prompt: str) -> tuple[dict[str, str], str]:
    """The directives in a prompt, and the prompt without them."""
    if _MARK not in prompt:
        return {}, prompt
    asked: dict[str, str] = {}
    for found in _IN_PROMPT.finditer(prompt):
        asked |= read(found[1])
    return asked, _IN_PROMPT.sub("", prompt).strip()


def understand(asked: Mapping[str, str]) -> Directives:
    """Make directives of what was asked.

    Raises:
        Refused: A key does not exist or its value is not one of its kind: a mistake in a test, reported as a 400.
    """
    try:
        wish = msgspec.convert(asked, Directives, strict=False)
    except msgspec.ValidationError as error:
        raise _misunderstood(str(error)) from None
    if wish.error is not None and wish.error not in ERRORS:
        raise _misunderstood(f"there is no error {wish.error!r}; there are {', '.join(ERRORS)}")
    if wish.fail_times is not None and wish.key is None:
        raise _misunderstood("fail_times needs a key")
    encoded = {name: text for name in ("text", "arguments") if (text := getattr(wish, name)) is not None}
    if not encoded:
        return wish
    try:
        plain = {name: unquote(text, errors="surrogatepass") for name, text in encoded.items()}
    except UnicodeDecodeError:
        raise _misunderstood("text or arguments are not percent-encoded UTF-8") from None
    return msgspec.structs.replace(wish, **plain)


def _misunderstood(problem: str) -> Refused:
    return Refused(
        ApiError(400, f"Simulator directives: {problem}", type="simulator_error", code="simulator_directive")
    )
