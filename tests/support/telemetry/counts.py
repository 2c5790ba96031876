"""The metrics of this process, before and after an action."""

from prometheus_client import REGISTRY


def count(name: str, **labels: str) -> float:
    """A sample's value, or 0 before its first count."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Counts:
    """Samples without labels, as they were when this was made."""

    def __init__(self, *names: str) -> None:
        self._begun = {name: count(name) for name in names}

    def risen(self) -> dict[str, float]:
        """By how much each has risen since."""
        return {name: count(name) - value for name, value in self._begun.items()}
