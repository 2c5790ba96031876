"""What the sending of a message or a call needs."""

from msgspec import Struct

from b2b_chat.kit.fair_gate import FairGate
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.limits.client_ip import ClientIp
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.settings import ProductSettings


class Entrance(Struct, frozen=True):
    """All that it needs: one dependency, since Litestar starts a task for each of several."""

    chat: Chat
    limits: Limits
    client_ip: ClientIp
    settings: ProductSettings
    gate: FairGate
