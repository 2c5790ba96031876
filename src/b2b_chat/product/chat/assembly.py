"""The parts of the chat, put together for a serving process."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from b2b_chat.kit.database import Database
from b2b_chat.kit.valkey import Valkey
from b2b_chat.product.chat.gateway_client import GatewayClient
from b2b_chat.product.chat.masked_turns import MaskedTurns
from b2b_chat.product.chat.previews import Previews
from b2b_chat.product.chat.prompts import Prompts
from b2b_chat.product.chat.relay.service import Relay
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.chat.sweeper import keep_leases
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking_policies.rulebook import Rulebook
from b2b_chat.product.settings import ProductSettings


class ChatParts(NamedTuple):
    """What a process keeps of the chat."""

    chat: Chat
    previews: Previews
    masking: Masking
    runs: Runs
    relay: Relay | None
    keep_leases: Callable[[], Coroutine[Any, Any, None]]
    """Renews the leases of this process's runs and gives up those of gone processes, until cancelled."""


def chat_parts(
    database: Database, gateway: GatewayClient, valkey: Valkey | None, settings: ProductSettings
) -> ChatParts:
    """Make the chat's parts; without Valkey an answer is followed in the process that writes it only."""
    prices = Prices(settings.price_prompt_credits_per_1k_tokens, settings.price_completion_credits_per_1k_tokens)
    repository = RunRepository(database, settings)
    runs = Runs(repository, gateway, prices, settings)
    relay = None if valkey is None else Relay(valkey, runs, settings)
    masking, rulebook = Masking(), Rulebook(database, settings)
    masked_turns = MaskedTurns(masking, repository)
    prompts = Prompts(repository, prices, settings, rulebook, masked_turns, masking, gateway)
    return ChatParts(
        chat=Chat(repository, runs, prompts, settings, None if relay is None else relay.following),
        previews=Previews(masking, rulebook, masked_turns, repository, settings),
        masking=masking,
        runs=runs,
        relay=relay,
        keep_leases=partial(keep_leases, runs, repository, lease_seconds=settings.chat_lease_seconds),
    )
