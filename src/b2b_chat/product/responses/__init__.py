"""OpenAI's `POST /v1/responses` without state, over the same runs as the completions."""
