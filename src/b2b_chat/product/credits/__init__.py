"""Credits: a company's balance, the holds of running answers, and the ledger of all movements."""
