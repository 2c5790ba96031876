"""A simulated OpenAI: `POST /v1/chat/completions` over real HTTP, with every fault on request.

Serve it by `granian --factory b2b_chat.sandbox.openai_simulator:create_app`, with one worker: what it observed and how
often a key failed is kept in the process. `directives` lists what can be asked of it.
"""

from b2b_chat.sandbox.openai_simulator.app import create_app
from b2b_chat.sandbox.openai_simulator.settings import SimulatorSettings

__all__ = ["SimulatorSettings", "create_app"]
