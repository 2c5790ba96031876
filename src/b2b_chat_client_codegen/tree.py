"""The resources of a client as a tree, the same in every language."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from b2b_chat_client_codegen.document import Operation
from b2b_chat_client_codegen.naming import place_of


@dataclass
class Node:
    """A resource: its methods, and the resources below it."""

    path: tuple[str, ...]
    methods: dict[str, Operation] = field(default_factory=dict)
    children: dict[str, "Node"] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The name of its class; `Root` for the client itself."""
        return pascal("_".join(self.path)) or "Root"

    def below(self) -> Iterator["Node"]:
        """Yield every node, children before their parents."""
        for _, child in sorted(self.children.items()):
            yield from child.below()
        yield self


def tree_of(operations: Iterable[Operation]) -> Node:
    """Return the root of the resources."""
    root = Node(())
    for operation in operations:
        place = place_of(operation)
        if place is None:
            continue
        node = root
        for word in place.resource:
            node = node.children.setdefault(word, Node((*node.path, word)))
        if place.method in node.methods:
            raise ValueError(f"{operation.id} and {node.methods[place.method].id} would have one name: see naming.py")
        node.methods[place.method] = operation
    return root


def pascal(name: str) -> str:
    """Return `some_name` as `SomeName`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
