"""b2b-chat: a self-hosted B2B LLM chat."""
