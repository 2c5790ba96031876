"""Runs of this process, sent to followers in other processes: from the run's own log, at each follower's pace."""

import asyncio
from collections import defaultdict
from typing import TypeAlias

import structlog
from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.relay.bus import Bus, BusDown
from b2b_chat.product.chat.relay.messages import Alive, Ended, Follow, Heard, Left, Message, Piece, Taken
from b2b_chat.product.chat.run import Run
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.settings import ProductSettings

_FOLLOWERS = Gauge("product_relay_followers", "Other processes that follow answers written here.")
_PIECES = Counter("product_relay_pieces", "Texts that were sent to other processes.")
_RESENDS = Counter("product_relay_resends", "Times that a follower asked anew, for text that was lost on its way.")
_SILENT = Counter("product_relay_silent_followers", "Followers that were let go since nothing was heard of them.")

logger = structlog.get_logger(__name__)
_Key: TypeAlias = tuple[str, int]


class _Follower:
    """A reader of a run, somewhere else: how far it has come, and when it was last heard of."""

    def __init__(self, run: Run, ask: Follow, now: float) -> None:
        self.run = run
        self.log = run.log
        self.attempt = ask.attempt
        self.inbox = ask.inbox
        self.follow = ask.follow
        self.start = ask.position
        self.heard_position = ask.position
        self.heard_at = now
        self.progress = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def advance(self, position: int, now: float) -> None:
        self.heard_position = max(self.heard_position, position)
        self.heard_at = now
        self.progress.set()


class Sharing:
    """Serves followers of this process's runs. Each counts as a reader until it leaves or falls silent."""

    def __init__(self, runs: Runs, bus: Bus, settings: ProductSettings) -> None:
        self._runs = runs
        self._bus = bus
        self._settings = settings
        self._followers: dict[_Key, _Follower] = {}
        bus.on_message.append(self._receive)
        bus.on_change.append(self._excuse_silence)

    async def beat(self) -> None:
        """Report to followers that they are served, and drop those that were silent for long."""
        now = asyncio.get_running_loop().time()
        served: defaultdict[str, list[int]] = defaultdict(list)
        for (inbox, follow), follower in list(self._followers.items()):
            if self._bus.is_up and now - follower.heard_at > self._settings.relay_gone_seconds:
                _SILENT.inc()
                self._let_go((inbox, follow))
            else:
                served[inbox].append(follow)
        for inbox, follows in served.items():
            await self._bus.publish(inbox, Alive(self._bus.inbox, follows))

    async def finish(self) -> None:
        """Deliver the ends of finished runs, for a moment."""
        if tasks := [follower.task for follower in self._followers.values() if follower.task is not None]:
            await asyncio.wait(tasks, timeout=self._settings.relay_ask_timeout_seconds)
        for key in list(self._followers):
            self._let_go(key)

    def _receive(self, message: Message) -> None:
        now = asyncio.get_running_loop().time()
        match message:
            case Follow():
                self._serve(message, now)
            case Heard(inbox, positions):
                for follow, position in positions.items():
                    if follower := self._followers.get((inbox, follow)):
                        follower.advance(position, now)
            case Left(inbox, follow):
                self._let_go((inbox, follow))

    def _serve(self, ask: Follow, now: float) -> None:
        run = self._runs.find(ask.assistant_message_id)
        if run is None or run.log.attempt != ask.attempt:
            return
        run.log.attach()  # before an earlier one is let go: a reader that moves has not left
        key = (ask.inbox, ask.follow)
        if key in self._followers:
            _RESENDS.inc()
            self._let_go(key)
        _FOLLOWERS.inc()
        follower = self._followers[key] = _Follower(run, ask, now)
        follower.task = asyncio.create_task(self._send(follower))
        follower.task.add_done_callback(lambda _: self._close(key, follower))
        if ask.stop:
            run.stop()

    def _let_go(self, key: _Key) -> None:
        follower = self._followers.pop(key, None)
        if follower is not None and follower.task is not None:
            follower.task.cancel()

    def _close(self, key: _Key, follower: _Follower) -> None:
        if self._followers.get(key) is follower:
            del self._followers[key]
        _FOLLOWERS.dec()
        follower.log.detach()
        task = follower.task
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            logger.error("relay_defect", assistant_message_id=follower.log.assistant_message_id, exc_info=error)

    def _excuse_silence(self) -> None:
        # While Valkey is away no follower can be heard; those that are gone show after it is back.
        now = asyncio.get_running_loop().time()
        for follower in self._followers.values():
            follower.heard_at = now

    async def _send(self, follower: _Follower) -> None:
        try:
            if follower.run.is_given_up:
                # A reader should not join it any more: a follower gets only its end, like a reader here.
                await _end_of(follower.log)
            else:
                await self._bus.publish(follower.inbox, Taken(follower.follow, self._bus.inbox))
            await self._send_log(follower)
        except BusDown:
            # Once Valkey is back the follower asks again; until then it counts as the reader that it is.
            await _end_of(follower.log)

    async def _send_log(self, follower: _Follower) -> None:
        log, position, seen, sent = follower.log, 0, 0, follower.start
        while True:
            await log.changed(seen)
            if log.attempt != follower.attempt:  # it was only then found out which one it is
                return
            if seen < len(log.pieces):
                text = "".join(log.pieces[seen:])
                seen = len(log.pieces)
                unsent = text[max(0, sent - position) :]
                position += len(text)
                await self._send_text(follower, sent, unsent)
                sent += len(unsent)
            elif log.outcome is not None:
                outcome = log.outcome.code if isinstance(log.outcome, AnswerFailed) else replace(log.outcome, text="")
                next_attempt = None if log.successor is None else log.successor.attempt
                await self._bus.publish(follower.inbox, Ended(follower.follow, position, outcome, next_attempt))
                if log.successor is not None:
                    # The follower asks for the next attempt now; until then it counts as the reader that it is.
                    await asyncio.sleep(self._settings.relay_ask_timeout_seconds)
                return

    async def _send_text(self, follower: _Follower, position: int, text: str) -> None:
        """Send text in portions, and never more ahead of what the follower is known to have than the settings say."""
        ahead = self._settings.relay_unheard_chars
        portion = max(1, ahead // 2)
        for start in range(0, len(text), portion):
            piece = text[start : start + portion]
            while position + start + len(piece) - follower.heard_position > ahead:
                follower.progress.clear()
                await follower.progress.wait()
            await self._bus.publish(follower.inbox, Piece(follower.follow, position + start, piece))
            _PIECES.inc()


async def _end_of(log: AnswerLog) -> None:
    while log.outcome is None or log.successor is not None:
        if log.successor is not None:
            log = log.successor
        else:
            await log.changed(len(log.pieces))
