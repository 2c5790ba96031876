"""The audit log: the actions of admins and operators, with their actors and targets. Rows are added, never changed."""
