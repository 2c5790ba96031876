"""Conversations as they are read: listing, renaming and erasing them. How a message is answered is in `chat`."""
