"""The second factor of operators and of a company's admins: codes of an authenticator app, and recovery codes."""
