"""Conversations, messages, and the runs that answer them."""
