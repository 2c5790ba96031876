"""The ASGI app of the simulated OpenAI."""

import os
from typing import Final

import msgspec

from b2b_chat.sandbox.openai_simulator import directives
from b2b_chat.sandbox.openai_simulator.answers import compose
from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, NO_API_KEY, ApiError, Refused
from b2b_chat.sandbox.openai_simulator.caller import Caller, CallerGone, Receive, Scope, Send
from b2b_chat.sandbox.openai_simulator.chat_request import parse
from b2b_chat.sandbox.openai_simulator.observations import Observation, Observations
from b2b_chat.sandbox.openai_simulator.player import Pace, play
from b2b_chat.sandbox.openai_simulator.script import Step, refusal, script_for
from b2b_chat.sandbox.openai_simulator.settings import SimulatorSettings, settings_from

CHAT_PATH: Final = "/v1/chat/completions"

_JSON: Final = ((b"content-type", b"application/json"),)


def create_app(settings: SimulatorSettings | None = None) -> "Simulator":
    """Make the app, with settings from `OPENAI_SIMULATOR_*` unless some are given.

    Raises:
        SettingsError: One of those variables is not valid.
    """
    return Simulator(settings_from(os.environ) if settings is None else settings)


class Simulator:
    """Answers as OpenAI does, or as a request asks it to."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._usually = directives.read(settings.directives)
        self._by_default = directives.understand(self._usually)
        self._observations = Observations(settings.kept_requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: the lifespan or an HTTP request, since the server has websockets switched off."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["path"].startswith("/v1/"):
            await self._call(scope, Caller(scope, receive, send))
        else:
            await self._show(scope, Caller(scope, receive, send))

    async def _call(self, scope: Scope, caller: Caller) -> None:
        """Serve a call of the API, and record its outcome."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        seen = self._observations.begin(
            scope["method"], scope["path"], authorization_present=b"authorization" in headers
        )
        try:
            body = await caller.body()
            try:
                steps, pace = self._prepare(scope, headers, body, seen)
            except Refused as refused:
                steps, pace = refusal(refused.error), 0.0
            seen.end(await play(steps, caller, seen, Pace(pace)))
        except CallerGone:
            seen.end("client_gone")
        finally:
            caller.unwatch()

    def _prepare(
        self, scope: Scope, headers: dict[bytes, bytes], body: bytes, seen: Observation
    ) -> tuple[list[Step], float]:
        """Return the steps of the reply, and their tokens per second.

        Raises:
            Refused: OpenAI would not answer this call.
        """
        self._admit(scope, headers)
        request = parse(body)
        seen.model = request.model
        seen.roles = [message.role for message in request.messages]
        seen.stream = request.stream is True
        seen.max_completion_tokens = request.max_completion_tokens
        in_prompt, prompt = directives.read_prompt(request.last_user_text)
        in_header = directives.read(headers.get(b"x-simulate", b"").decode("latin-1"))
        wish = self._by_default
        if in_prompt or in_header:
            wish = directives.understand({**self._usually, **in_prompt, **in_header})
        if wish.key is not None:
            seen.key = wish.key
            seen.attempt = self._observations.count_attempt(wish.key)
            if wish.fail_times is not None and seen.attempt > wish.fail_times:
                wish = wish.healed
        settings = self._settings
        answer = compose(request, prompt, wish, seed=settings.seed, answer_tokens=settings.answer_tokens)
        pace = settings.tokens_per_second if wish.tps is None else wish.tps
        return script_for(request, answer, wish, tokens_per_second=pace), pace

    def _admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Check the address, the method and the key.

        Raises:
            Refused: One of them is wrong.
        """
        if scope["path"] != CHAT_PATH:
            raise Refused(ApiError(404, f"Invalid URL ({scope['method']} {scope['path']})"))
        if scope["method"] != "POST":
            hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
            raise Refused(ApiError(405, f"Not allowed to {scope['method']} on {CHAT_PATH}. {hint}"))
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refused(NO_API_KEY)
        expected = self._settings.expected_api_key
        if expected is not None and key.strip() != expected.reveal():
            raise Refused(ERRORS["invalid_api_key"])

    async def _show(self, scope: Scope, caller: Caller) -> None:
        """Serve the routes about the simulator itself."""
        status, body = 200, b'{"status":"ok"}'
        match scope["method"], scope["path"]:
            case "GET", "/health":
                pass
            case "GET", "/simulator/requests":
                body = msgspec.json.encode(self._observations.shown())
            case "DELETE", "/simulator/requests":
                self._observations.forget()
            case _:
                status, body = 404, b'{"error":{"message":"Not found"}}'
        await caller.start(status, _JSON)
        await caller.write(body, last=True)


async def _live(receive: Receive, send: Send) -> None:
    """Acknowledge the server's start and end; neither needs any work."""
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
