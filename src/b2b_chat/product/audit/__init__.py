"""The audit log: who did what to whom with an admin's or an operator's right. Rows are added, never changed."""
