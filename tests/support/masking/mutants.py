"""Ways to break the restorer, one at a time: the fuzz of streams must notice every one."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final, NamedTuple

PACKAGE: Final = "b2b_chat.product.masking"


class Mutant(NamedTuple):
    """A piece of a module's source and what stands there instead."""

    module: str
    old: str
    new: str


MUTANTS: Final = {
    "holds too little": Mutant("tokens", "LONGEST: Final = 48", "LONGEST: Final = 9"),
    "holds nothing": Mutant("restoring", "stop = unfinished.start() if unfinished is not None else len(text)", "stop = len(text)"),
    "forgets what it held": Mutant("restoring", "text = self._before + self._held\n        return", "return self._before and ''\n        return"),
    "forgets the character before": Mutant("restoring", "self._before = text[stop - 1 : stop]", 'self._before = ""'),
    "forgets it on the fast path": Mutant("restoring", "self._before = text[-1]", "pass"),
    "takes the fast path while holding": Mutant("restoring", "if not self._held and POSSIBLE", "if POSSIBLE"),
    "sends the character before again": Mutant("restoring", "first = len(self._before)", "first = 0"),
    "reads a shorter number": Mutant("tokens", '"[1-9][0-9]{0,5}"', '"[1-9]"'),
    "knows no borders": Mutant("tokens", r"(?<!\w){_BARE_TOKEN}", "{_BARE_TOKEN}"),
    "drops the border behind": Mutant("tokens", r"_{_NUMBER})(?!\w)", r"_{_NUMBER})"),
    "eats backslashes": Mutant("restoring", 'both = opening.startswith("\\\\") and closing.startswith("\\\\")', "both = True"),
    "knows no case hint": Mutant("tokens", "(?:{_HINT})? ?", " ?"),
    "restores in foreign links": Mutant("restoring", "value is None or self._links.forbids()", "value is None"),
    "restores nothing in links": Mutant("links", "return self._end is not None and not self._is_users()", "return self._end is not None"),
    "believes the login of a link": Mutant("links", 'authority.rpartition("@")[2]', 'authority.partition("@")[0]'),
    "ends links at a quote": Mutant("links", '_BARE_END: Final = re.compile(r"[', '_BARE_END: Final = re.compile(r"[?'),
    "sees only what it passes": Mutant("restoring", "self._links.see(match.group())", "pass"),
    "counts masks in the wrong text": Mutant("restoring", "self._length += len(value)", "pass"),
    "leaves unknown ones out": Mutant("restoring", "self._pass(pieces, match.group())\n            return", "return"),
    "restores upper case only": Mutant("tokens", '_BODY: Final = rf" ?(?i:{_KIND})', '_BODY: Final = rf" ?(?:{_KIND})'),
}  # fmt: skip
_ORDER: Final = ("tokens", "links", "restoring")


@contextmanager
def applied(mutant: Mutant) -> Iterator[ModuleType]:
    """Give `restoring` with one piece replaced; the modules themselves stay as they are."""
    saved = {name: sys.modules[f"{PACKAGE}.{name}"] for name in _ORDER}
    try:
        for name in _ORDER[_ORDER.index(mutant.module) :]:
            _load(name, saved[name], mutant if name == mutant.module else None)
        yield sys.modules[f"{PACKAGE}.restoring"]
    finally:
        sys.modules.update({f"{PACKAGE}.{name}": module for name, module in saved.items()})


def _load(name: str, original: ModuleType, mutant: Mutant | None) -> None:
    spec = original.__spec__
    if spec is None or spec.origin is None:
        raise LookupError(name)
    with open(spec.origin, encoding="utf-8") as file:  # noqa: PTH123
        source = file.read()
    if mutant is not None:
        if mutant.old not in source:
            raise LookupError(f"{mutant.old!r} is no longer in {name}")
        source = source.replace(mutant.old, mutant.new)
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"{PACKAGE}.{name}"] = module
    exec(compile(source, spec.origin, "exec"), module.__dict__)  # noqa: S102
