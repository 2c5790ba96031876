"""The heartbeat of runs: renews the leases of our own, and gives up those whose process is gone."""

import asyncio
from logging import ERROR, WARNING

import structlog
from prometheus_client import Counter, Gauge

from b2b_chat.kit.database import is_outage
from b2b_chat.product.chat.failures import Interrupted
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.runs import Runs

_INTERRUPTED = Counter("product_sweeper_interrupted", "Answers given up and holds freed, since their process was gone.")
_FAILURES = Counter("product_sweeper_failures", "Rounds of the sweeper that failed.")
_LAST_RUN = Gauge("product_sweeper_last_run_timestamp_seconds", "When the sweeper last went through.")

log = structlog.get_logger(__name__)


async def sweep(repository: RunRepository) -> int:
    """Mark answers whose lease has run out as `interrupted`, free their holds, and return how many there were.

    Any number of processes may sweep at once: an answer is given up by the one whose statement finds it live.
    """
    given_up = [
        attempt
        for attempt in await repository.list_expired()
        if await repository.fail(attempt, Interrupted.code, hold_state="expired")
    ]
    for attempt in given_up:
        log.warning("answer_interrupted", assistant_message_id=attempt.assistant_message_id)
    _INTERRUPTED.inc(len(given_up))
    _LAST_RUN.set_to_current_time()
    return len(given_up)


async def keep_leases(runs: Runs, repository: RunRepository, *, lease_seconds: float) -> None:
    """Renew and sweep until cancelled, three times a lease, whatever fails."""
    while True:
        try:
            if live := runs.live:
                await repository.renew_leases(live)
            await sweep(repository)
        except Exception as error:
            # Nothing would start it again, and without it answers of dead processes stay live for ever.
            _FAILURES.inc()
            log.log(WARNING if is_outage(error) else ERROR, "sweep_failed", exc_info=error)
        await asyncio.sleep(lease_seconds / 3)
