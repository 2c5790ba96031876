"""The one error that the sandbox shows to people."""


class SandboxError(Exception):
    """The sandbox cannot go on. Its text is for the person at the terminal: what is wrong and what to do next."""
