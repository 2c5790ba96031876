"""Mail: an outbox filled in the transaction of what a mail tells of, and the sender that empties it."""
