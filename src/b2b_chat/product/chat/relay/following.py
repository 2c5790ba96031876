"""Runs of other processes, followed from here: one mirror for all local readers of an attempt."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from itertools import count
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from b2b_chat.kit.database import is_outage
from b2b_chat.product.chat.answer_log import AnswerLog, MessageInProgress
from b2b_chat.product.chat.failures import AnswerDefect, AnswerFailed, Interrupted, stored_failure
from b2b_chat.product.chat.relay.bus import EVERYBODY, Bus, BusDown
from b2b_chat.product.chat.relay.messages import Alive, Ended, Follow, Heard, Left, Message, Piece, Taken
from b2b_chat.product.chat.relay.mirror import Mirror, ReadStored
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.settings import ProductSettings

_LONGEST_PAUSE_SECONDS: Final = 4.0
"""Between two queries of the database for a run that no process reports to be writing."""
_MIRRORS = Gauge("product_relay_mirrors", "Answers of other processes that are followed here.")
_ASKS = Counter("product_relay_asks", "Questions to all processes, by whether one answered.", ["outcome"])
_GAPS = Counter("product_relay_gaps", "Texts of other processes that did not follow on what had come before.")

logger = structlog.get_logger(__name__)


class Following:
    """Follows runs of other processes. Each mirror lives as long as it has a reader here."""

    def __init__(self, bus: Bus, settings: ProductSettings) -> None:
        self._bus = bus
        self._settings = settings
        self._mirrors: dict[tuple[UUID, int], Mirror] = {}
        self._by_number: dict[int, Mirror] = {}
        self._numbers = count(1)
        self._sending: set[asyncio.Task[None]] = set()
        """What is on its way to a run's process."""
        self._is_finished = False
        bus.on_message.append(self._receive)
        bus.on_change.append(self._ask_all_again)

    def follow(self, log: AnswerLog, read_stored: ReadStored) -> AnswerLog:
        """The mirror of a run that another process writes; `log` names it, and becomes it where there is none yet.

        Raises:
            MessageInProgress: This process is about to end.
        """
        if self._is_finished:
            raise MessageInProgress
        key = (log.assistant_message_id, log.attempt)
        if key not in self._mirrors:
            self._begin(Mirror(next(self._numbers), log, read_stored, asyncio.get_running_loop().time()))
        return self._mirrors[key].log

    async def is_joined(self, log: AnswerLog) -> bool:
        """Wait until it shows whether a mirror's run goes on; False where it has ended, or was about to."""
        mirror = self._mirrors[log.assistant_message_id, log.attempt]
        mirror.joining += 1
        try:
            await mirror.sign.wait()
        finally:
            mirror.joining -= 1
        return log.outcome is None

    async def stop(self, log: AnswerLog) -> None:
        """Have a mirror's run stopped. A reader must be attached.

        Raises:
            MessageInProgress: No process says that it is the one that writes it.
        """
        mirror = self._mirrors[log.assistant_message_id, log.attempt]
        mirror.stop = True
        mirror.taken.clear()
        mirror.ask_again.set()
        try:
            await asyncio.wait_for(mirror.taken.wait(), 2 * self._settings.relay_ask_timeout_seconds)
        except TimeoutError:
            raise MessageInProgress from None

    async def beat(self) -> None:
        """Report our positions to the processes that we follow, and ask anew where one has fallen silent."""
        now = asyncio.get_running_loop().time()
        heard: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for mirror in list(self._mirrors.values()):
            if mirror.is_unneeded and now - mirror.born_at > self._settings.relay_gone_seconds:
                self._drop(mirror)  # its reader never came
            elif mirror.owner is not None and now - mirror.heard_at > self._settings.relay_gone_seconds:
                mirror.ask_again.set()
            elif mirror.owner is not None:
                heard[mirror.owner][mirror.number] = mirror.told_position = mirror.position
        for owner, positions in heard.items():
            await self._bus.publish(owner, Heard(self._bus.inbox, positions))

    async def drain(self, grace_seconds: float) -> None:
        """Let readers follow to the end for a while; then send the rest elsewhere, and say that they have left."""
        if following := [mirror.task for mirror in self._mirrors.values() if mirror.task is not None]:
            await asyncio.wait(following, timeout=grace_seconds)
        self._is_finished = True
        for mirror in list(self._mirrors.values()):
            mirror.log.send_away()
            self._drop(mirror)
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._settings.relay_ask_timeout_seconds)

    def _begin(self, mirror: Mirror) -> None:
        self._mirrors[mirror.key] = self._by_number[mirror.number] = mirror
        _MIRRORS.inc()
        mirror.log.on_unread = lambda: self._leave_unread(mirror)
        mirror.task = asyncio.create_task(self._keep(mirror))

    def _leave_unread(self, mirror: Mirror) -> None:
        if mirror.is_unneeded:
            self._drop(mirror)

    def _drop(self, mirror: Mirror) -> None:
        self._forget(mirror)
        mirror.sign.set()
        if mirror.task is not None:
            mirror.task.cancel()
        if mirror.owner is not None:
            self._say(mirror.owner, Left(self._bus.inbox, mirror.number))

    def _forget(self, mirror: Mirror) -> None:
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
        self._sending.add(word)
        word.add_done_callback(self._sending.discard)

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
            case Piece(number, position, text):
                if mirror := self._by_number.get(number):
                    mirror.heard_at = now
                    self._add(mirror, position, text)
            case Ended(number, position, outcome, next_attempt):
                if (mirror := self._by_number.get(number)) and next_attempt is None:
                    self._end(mirror, position, outcome)
                elif mirror and isinstance(outcome, str) and next_attempt is not None:
                    self._go_on(mirror, next_attempt, stored_failure(outcome))
            case Alive(inbox, numbers):
                self._receive_alive(inbox, set(numbers), now)

    def _add(self, mirror: Mirror, position: int, text: str) -> None:
        if not mirror.add(position, text):
            _GAPS.inc()
            mirror.ask_again.set()
        elif (
            mirror.owner is not None
            and mirror.position - mirror.told_position > self._settings.relay_unheard_chars // 4
        ):
            mirror.told_position = mirror.position
            self._say(mirror.owner, Heard(self._bus.inbox, {mirror.number: mirror.position}))

    def _end(self, mirror: Mirror, position: int, outcome: ChatAnswer | str) -> None:
        if position != mirror.position:
            _GAPS.inc()
            mirror.ask_again.set()
        elif isinstance(outcome, str):
            mirror.finish(stored_failure(outcome))
        else:
            mirror.finish(replace(outcome, text=mirror.log.text))

    def _go_on(self, mirror: Mirror, attempt: int, failure: AnswerFailed) -> None:
        """End the mirror of an attempt that a later one has replaced, and mirror that one for readers who go on."""
        if self._is_finished or attempt <= mirror.log.attempt or mirror.log.would_be_unread:
            mirror.finish(failure)
            return
        log = self.follow(mirror.log.next_attempt(attempt), mirror.read_stored)
        if mirror.stop:
            successor = self._mirrors[log.assistant_message_id, log.attempt]
            successor.stop = True
            successor.ask_again.set()
        mirror.restart_as(log, failure)

    def _receive_alive(self, inbox: str, numbers: set[int], now: float) -> None:
        for mirror in self._mirrors.values():
            if mirror.number in numbers:
                mirror.heard_at = now
            elif mirror.owner == inbox:
                mirror.ask_again.set()  # it does not serve us any more

    async def _keep(self, mirror: Mirror) -> None:
        """Keep a mirror until its end: ask for its writer, wait until something is wrong, and ask again."""
        pause_seconds = self._settings.relay_ask_timeout_seconds / 2
        try:
            while mirror.log.outcome is None:
                mirror.ask_again.clear()
                if await self._ask(mirror):
                    pause_seconds = self._settings.relay_ask_timeout_seconds / 2
                    await mirror.ask_again.wait()
                elif not await self._ask_database(mirror):
                    mirror.sign.set()
                    pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(mirror.ask_again.wait(), pause_seconds)
        except Exception as error:
            logger.exception("relay_defect", assistant_message_id=mirror.log.assistant_message_id, exc_info=error)
            mirror.finish(AnswerDefect())
        self._forget(mirror)

    async def _ask(self, mirror: Mirror) -> bool:
        """Ask all processes for the missing text; return whether one answered."""
        mirror.taken.clear()
        mirror.owner = None
        log = mirror.log
        ask = Follow(
            log.assistant_message_id, log.attempt, self._bus.inbox, mirror.number, mirror.position, stop=mirror.stop
        )
        try:
            await self._bus.publish(EVERYBODY, ask)
            await asyncio.wait_for(mirror.taken.wait(), self._settings.relay_ask_timeout_seconds)
        except (BusDown, TimeoutError):
            _ASKS.labels("unanswered").inc()
            return False
        _ASKS.labels("answered").inc()
        return True

    async def _ask_database(self, mirror: Mirror) -> bool:
        """Ask the database when no process answers; return whether the run has ended there."""
        try:
            stored = await mirror.read_stored()
        except Exception as error:
            if not is_outage(error):
                raise
            return False
        if stored.attempt != mirror.log.attempt:
            self._go_on(mirror, stored.attempt, Interrupted())  # nothing more is known of this attempt
        elif stored.outcome is not None:
            mirror.add(0, stored.text)
            mirror.finish(stored.outcome)
        return mirror.log.outcome is not None
