"""A laptop's world: embedded PostgreSQL, the simulated OpenAI, and the processes of `b2b-chat demo` and `up`."""
