"""Credits: what a company has, what is held for running answers, and the ledger of every movement."""
