"""Plumbing that both apps need and that knows nothing of chats, companies or OpenAI."""
