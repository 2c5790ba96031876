"""The API that any OpenAI client speaks, over the same runs as `/v1/chat`."""
