"""Runs of other processes, followed from here: one mirror for all who read an attempt here."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Final, TypeAlias
from uuid import UUID

import structlog
from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from b2b_chat.kit.database import is_outage
from b2b_chat.product.chat.failures import AnswerDefect, Interrupted, stored_failure
from b2b_chat.product.chat.relay.bus import EVERYBODY, Bus, BusDown
from b2b_chat.product.chat.relay.messages import Alive, Ended, Follow, Heard, Left, Message, Piece, Taken
from b2b_chat.product.chat.relay.options import RelayOptions
from b2b_chat.product.chat.run import MessageInProgress, Run
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.gateway_client import AnswerFailed

_LONGEST_PAUSE_SECONDS: Final = 4.0
"""Between two looks into the database for a run that nobody says he writes."""
_MIRRORS = Gauge("product_relay_mirrors", "Answers of other processes that are followed here.")
_ASKS = Counter("product_relay_asks", "Questions to all processes, by whether one answered.", ["outcome"])
_GAPS = Counter("product_relay_gaps", "Texts of other processes that did not follow on what had come before.")

log = structlog.get_logger(__name__)

Look: TypeAlias = Callable[[], Awaitable[Run]]
"""The run as the database tells it: which attempt is the last, and how that ended."""


class _Mirror:
    """A run of another process, as far as it has been heard here."""

    def __init__(self, number: int, run: Run, look: Look, now: float) -> None:
        self.number = number
        self.run = run
        self.look = look
        self.stop = False
        self.place = 0
        self.told_place = 0
        self.owner: str | None = None
        self.heard_at = self.born_at = now
        self.joining = 0
        self.taken = asyncio.Event()
        self.sign = asyncio.Event()
        """Set once it is known whether its process answers, or that it has ended."""
        self.ask_again = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def key(self) -> tuple[UUID, int]:
        return self.run.assistant_message_id, self.run.attempt

    @property
    def is_unneeded(self) -> bool:
        return self.run.is_unread and not self.joining

    def add(self, place: int, text: str) -> bool:
        """Take text that begins at a place; False where some is missing before it."""
        if place > self.place:
            return False
        if new := text[self.place - place :]:
            self.place += len(new)
            self.run.publish(new)
        return True

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        self.run.finish(outcome)
        for awaited in (self.taken, self.sign, self.ask_again):
            awaited.set()


class Following:
    """Follows runs of other processes. Each mirror lives as long as somebody here reads it."""

    def __init__(self, bus: Bus, options: RelayOptions) -> None:
        self._bus = bus
        self._options = options
        self._mirrors: dict[tuple[UUID, int], _Mirror] = {}
        self._by_number: dict[int, _Mirror] = {}
        self._numbers = count(1)
        self._words: set[asyncio.Task[None]] = set()
        """What is on its way to a run's process."""
        self._is_finished = False
        bus.on_message.append(self._receive)
        bus.on_change.append(self._ask_all_again)

    def follow(self, run: Run, look: Look) -> Run:
        """The mirror of a run that another process writes; `run` names it, and becomes it where there is none yet.

        Raises:
            MessageInProgress: This process is about to end.
        """
        if self._is_finished:
            raise MessageInProgress
        key = (run.assistant_message_id, run.attempt)
        if key not in self._mirrors:
            self._begin(_Mirror(next(self._numbers), run, look, asyncio.get_running_loop().time()))
        return self._mirrors[key].run

    async def is_joined(self, run: Run) -> bool:
        """Wait until it shows whether a mirror's run goes on; False where it has ended, or was about to."""
        mirror = self._mirrors[run.assistant_message_id, run.attempt]
        mirror.joining += 1
        try:
            await mirror.sign.wait()
        finally:
            mirror.joining -= 1
        return run.outcome is None

    async def stop(self, run: Run) -> None:
        """Have a mirror's run stopped. A reader must be attached.

        Raises:
            MessageInProgress: No process says that it is the one that writes it.
        """
        mirror = self._mirrors[run.assistant_message_id, run.attempt]
        mirror.stop = True
        mirror.taken.clear()
        mirror.ask_again.set()
        try:
            await asyncio.wait_for(mirror.taken.wait(), 2 * self._options.ask_timeout_seconds)
        except TimeoutError:
            raise MessageInProgress from None

    async def beat(self) -> None:
        """Tell the processes that we follow how far we are, and ask anew where one has fallen silent."""
        now = asyncio.get_running_loop().time()
        heard: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for mirror in list(self._mirrors.values()):
            if mirror.is_unneeded and now - mirror.born_at > self._options.gone_seconds:
                self._drop(mirror)  # whoever wanted it never came to read
            elif mirror.owner is not None and now - mirror.heard_at > self._options.gone_seconds:
                mirror.ask_again.set()
            elif mirror.owner is not None:
                heard[mirror.owner][mirror.number] = mirror.told_place = mirror.place
        for owner, places in heard.items():
            await self._bus.publish(owner, Heard(self._bus.inbox, places))

    async def drain(self, grace_seconds: float) -> None:
        """Let readers follow to the end for a while; then send the rest elsewhere, and say that they have left."""
        if following := [mirror.task for mirror in self._mirrors.values() if mirror.task is not None]:
            await asyncio.wait(following, timeout=grace_seconds)
        self._is_finished = True
        for mirror in list(self._mirrors.values()):
            mirror.run.cut()
            self._drop(mirror)
        if self._words:
            await asyncio.wait(self._words, timeout=self._options.ask_timeout_seconds)

    def _begin(self, mirror: _Mirror) -> None:
        self._mirrors[mirror.key] = self._by_number[mirror.number] = mirror
        _MIRRORS.inc()
        mirror.run.on_unread = lambda: self._leave_unread(mirror)
        mirror.task = asyncio.create_task(self._keep(mirror))

    def _leave_unread(self, mirror: _Mirror) -> None:
        if mirror.is_unneeded:
            self._drop(mirror)

    def _drop(self, mirror: _Mirror) -> None:
        self._forget(mirror)
        mirror.sign.set()
        if mirror.task is not None:
            mirror.task.cancel()
        if mirror.owner is not None:
            self._say(mirror.owner, Left(self._bus.inbox, mirror.number))

    def _forget(self, mirror: _Mirror) -> None:
        if self._by_number.pop(mirror.number, None) is not None:
            _MIRRORS.dec()
        if self._mirrors.get(mirror.key) is mirror:
            del self._mirrors[mirror.key]

    def _say(self, owner: str, message: Message) -> None:
        """Send a word that is not missed if it does not arrive."""

        async def say() -> None:
            with suppress(BusDown):
                await self._bus.publish(owner, message)

        word = asyncio.create_task(say())
        self._words.add(word)
        word.add_done_callback(self._words.discard)

    def _ask_all_again(self) -> None:
        # What was on its way when the connection broke is lost.
        for mirror in self._mirrors.values():
            mirror.ask_again.set()

    def _receive(self, message: Message) -> None:
        now = asyncio.get_running_loop().time()
        match message:
            case Taken(number, inbox):
                if mirror := self._by_number.get(number):
                    mirror.owner, mirror.heard_at = inbox, now
                    mirror.taken.set()
                    mirror.sign.set()
            case Piece(number, place, text):
                if mirror := self._by_number.get(number):
                    mirror.heard_at = now
                    self._add(mirror, place, text)
            case Ended(number, place, outcome):
                if mirror := self._by_number.get(number):
                    self._end(mirror, place, outcome)
            case Alive(inbox, numbers):
                self._hear_alive(inbox, set(numbers), now)

    def _add(self, mirror: _Mirror, place: int, text: str) -> None:
        if not mirror.add(place, text):
            _GAPS.inc()
            mirror.ask_again.set()
        elif mirror.owner is not None and mirror.place - mirror.told_place > self._options.unheard_chars // 4:
            mirror.told_place = mirror.place
            self._say(mirror.owner, Heard(self._bus.inbox, {mirror.number: mirror.place}))

    def _end(self, mirror: _Mirror, place: int, outcome: ChatAnswer | str) -> None:
        if place != mirror.place:
            _GAPS.inc()
            mirror.ask_again.set()
        elif isinstance(outcome, str):
            mirror.finish(stored_failure(outcome))
        else:
            mirror.finish(replace(outcome, text=mirror.run.text))

    def _hear_alive(self, inbox: str, numbers: set[int], now: float) -> None:
        for mirror in self._mirrors.values():
            if mirror.number in numbers:
                mirror.heard_at = now
            elif mirror.owner == inbox:
                mirror.ask_again.set()  # it has let go of us

    async def _keep(self, mirror: _Mirror) -> None:
        """See a mirror to its end: ask who writes it, wait until something is amiss, and ask again."""
        pause_seconds = self._options.ask_timeout_seconds / 2
        try:
            while mirror.run.outcome is None:
                mirror.ask_again.clear()
                if await self._ask(mirror):
                    pause_seconds = self._options.ask_timeout_seconds / 2
                    await mirror.ask_again.wait()
                elif not await self._look(mirror):
                    mirror.sign.set()
                    pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(mirror.ask_again.wait(), pause_seconds)
        except Exception as error:
            log.exception("relay_defect", assistant_message_id=mirror.run.assistant_message_id, exc_info=error)
            mirror.finish(AnswerDefect())
        self._forget(mirror)

    async def _ask(self, mirror: _Mirror) -> bool:
        """Ask all processes for what is missing; whether one answered."""
        mirror.taken.clear()
        mirror.owner = None
        run = mirror.run
        ask = Follow(
            run.assistant_message_id, run.attempt, self._bus.inbox, mirror.number, mirror.place, stop=mirror.stop
        )
        try:
            await self._bus.publish(EVERYBODY, ask)
            await asyncio.wait_for(mirror.taken.wait(), self._options.ask_timeout_seconds)
        except (BusDown, TimeoutError):
            _ASKS.labels("unanswered").inc()
            return False
        _ASKS.labels("answered").inc()
        return True

    async def _look(self, mirror: _Mirror) -> bool:
        """Ask the database for what nobody else tells; whether it says that the run has ended."""
        try:
            told = await mirror.look()
        except Exception as error:
            if not is_outage(error):
                raise
            return False
        if told.attempt != mirror.run.attempt:
            mirror.finish(Interrupted())  # of this attempt nothing is known any more
        elif told.outcome is not None:
            mirror.add(0, told.text)
            mirror.finish(told.outcome)
        return mirror.run.outcome is not None
