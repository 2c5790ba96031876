"""Mail: an outbox, filled in the transaction that a mail reports on, and the sender that empties it."""
