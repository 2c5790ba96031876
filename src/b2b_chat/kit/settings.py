"""Settings: frozen Structs filled from the environment once, with all problems reported together.

A field `session_idle_seconds: Annotated[int, Meta(ge=60, description="…")] = 3600` is read from the variable
`SESSION_IDLE_SECONDS`. A field of type `Secret` may also come from the file that `<NAME>_FILE` names, as Docker and
Kubernetes hand secrets over. Problems name variables, never values.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import NODEFAULT, Meta, Struct

_DOCUMENTATION_DOMAINS: Final = ("example.com", "example.net", "example.org", "example", "invalid")
"""RFC 2606 reserves them for examples; such an address was copied and not filled in."""
_WORDS: Final = {int: "a whole number", float: "a number", Decimal: "a decimal number", bool: "true or false"}

SettingsT = TypeVar("SettingsT", bound=Struct)


class Secret:
    """A value that must not be seen: it shows as `***` wherever it is printed."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class SettingsError(Exception):
    """The environment does not make valid settings; `problems` has one line each, naming the variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Variable(Struct, frozen=True):
    """One environment variable of an app."""

    name: str
    kind: Any
    """The bare type: str, int, bool, Decimal, Secret or a Literal."""
    meta: Meta | None
    default: Any
    """`NODEFAULT` where the variable is required."""

    @property
    def is_secret(self) -> bool:
        """Whether `<NAME>_FILE` may stand in for it and its value must not be shown."""
        return self.kind is Secret

    @property
    def expectation(self) -> str:
        """Return what a value must be, in words for people."""
        words = _expectation_of_kind(self.kind)
        bounds = [
            f"{word} {Decimal(str(bound)):f}"  # never as 1e-06
            for word, bound in (
                ("at least", getattr(self.meta, "ge", None)),
                ("more than", getattr(self.meta, "gt", None)),
                ("at most", getattr(self.meta, "le", None)),
            )
            if bound is not None
        ]
        return ", ".join([words, *bounds])


def variables(settings: type[Struct]) -> Iterator[Variable]:
    """Return the environment variables that fill a settings Struct, in its order."""
    hints = get_type_hints(settings, include_extras=True)
    for field in msgspec.structs.fields(settings):
        kind, meta = _unwrap(hints[field.name])
        yield Variable(field.name.upper(), kind, meta, field.default)


def load(
    settings: type[SettingsT],
    environ: Mapping[str, str],
    *,
    check: Callable[[SettingsT], Iterable[str]] = lambda _: (),
) -> SettingsT:
    """Fill a settings Struct from the environment.

    Args:
        settings: The Struct to fill.
        environ: Usually `os.environ`.
        check: Returns the problems that no single variable shows, one line each.

    Raises:
        SettingsError: Variables are missing or wrong; it names every one of them.
    """
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    for variable in variables(settings):
        try:
            text = _read(variable, environ)
            if text is not None:
                values[variable.name.lower()] = _convert(variable, text)
            elif variable.default is NODEFAULT:
                problems[variable.name] = f"{variable.name} is required: {variable.expectation}."
        except ValueError as error:
            problems[variable.name] = str(error)
        if variable.name in problems and variable.default is NODEFAULT:
            values[variable.name.lower()] = variable.kind()  # stands in, so that the rest can be checked all the same
    loaded = settings(**values)
    # A variable that has a problem already is not judged by what stands in for it.
    more = [line for line in check(loaded) if line.split(maxsplit=1)[0] not in problems]
    if problems or more:
        raise SettingsError([*problems.values(), *more])
    return loaded


def render_example(settings: type[Struct]) -> str:
    """Return an env file that lists every variable: its purpose, its range, and its default as its value."""
    summary = (settings.__doc__ or "").partition("\n")[0]
    head = f"# {summary}\n# Made from the settings; shows the defaults. A variable that is empty is not set.\n"
    return "\n".join([head, *map(_example, variables(settings))])


def _example(variable: Variable) -> str:
    description = (getattr(variable.meta, "description", None) or "").removesuffix(".")
    need = {NODEFAULT: "Required: ", None: "Optional: "}.get(variable.default, "")
    takes = f"{need}{variable.expectation}"
    if variable.is_secret:
        takes += f"; {variable.name}_FILE may name a file that holds it"
    value = "" if need else msgspec.json.decode(msgspec.json.encode(variable.default))
    value = str(value).lower() if isinstance(value, bool) else value
    return f"# {description}.\n# {takes[0].upper()}{takes[1:]}.\n{variable.name}={value}\n"


def is_documentation_host(host: str) -> bool:
    """Return whether a host's name is reserved for examples."""
    return any(host == domain or host.endswith(f".{domain}") for domain in _DOCUMENTATION_DOMAINS)


def is_this_machine(host: str) -> bool:
    """Return whether a host is reached without any network."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_on_this_host(host: str) -> bool:
    """Return whether a host is this machine or a container beside us: names of the internet have a dot."""
    return is_this_machine(host) or not ({".", ":"} & set(host))


def listen_address_problem(name: str, host: str) -> str | None:
    """Return what is wrong with an address to listen on, if anything."""
    try:
        ip_address(host)
    except ValueError:
        return None if host == "localhost" else f"{name} must be an IP address of this machine, or 0.0.0.0 for all."
    return None


def url_problem(name: str, url: str, *, needs_tls: bool, is_near: Callable[[str], bool] | None = None) -> str | None:
    """Return what is wrong with the base URL of a service, if anything.

    Args:
        name: Its variable.
        url: What the variable holds.
        needs_tls: Whether production runs, where http may only lead to this machine, and examples are no addresses.
        is_near: Returns whether a host counts as this machine; `is_this_machine` where there is none.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name} is not a URL."
    if parts.scheme not in {"http", "https"} or not host:
        return f"{name} must start with https:// (or http:// on this machine) and name a host."
    if parts.query or parts.fragment or "@" in parts.netloc:
        return f"{name} must hold neither a user, nor a query, nor a fragment."
    if needs_tls and parts.scheme == "http" and not (is_near or is_this_machine)(host):
        return f"{name} must start with https:// in production, unless it leads to this machine."
    if needs_tls and is_documentation_host(host):
        return f"{name} still has the address of an example."
    return None


def url_problems(
    urls: Mapping[str, str | None], *, needs_tls: bool, is_near: Callable[[str], bool] | None = None
) -> Iterator[str]:
    """Return what is wrong with the base URLs of services, by their variables; unset ones are skipped."""
    given = {name: url for name, url in urls.items() if url is not None}
    problems = (url_problem(name, url, needs_tls=needs_tls, is_near=is_near) for name, url in given.items())
    yield from filter(None, problems)


def _unwrap(hint: Any) -> tuple[Any, Meta | None]:
    """Strip `Annotated[...]` and `| None` off a type hint."""
    meta = None
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        meta = next((extra for extra in extras if isinstance(extra, Meta)), None)
    if get_origin(hint) in {Union, UnionType}:
        (hint,) = (argument for argument in get_args(hint) if argument is not type(None))
    return hint, meta


def _expectation_of_kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    return _WORDS.get(kind, "text")


def _read(variable: Variable, environ: Mapping[str, str]) -> str | None:
    """Return the variable's text, from the environment or its file; an empty variable counts as unset."""
    text = environ.get(variable.name) or None
    file_name = environ.get(f"{variable.name}_FILE") if variable.is_secret else None
    if not file_name:
        return text
    if text is not None:
        raise ValueError(f"{variable.name} and {variable.name}_FILE are both set; keep one.")
    try:
        return Path(file_name).read_text(encoding="utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{variable.name}_FILE names a file that cannot be read.") from None


def _convert(variable: Variable, text: str) -> Any:
    if variable.is_secret:
        return Secret(text)
    annotated = Annotated[variable.kind, variable.meta] if variable.meta else variable.kind
    try:
        if variable.kind is Decimal:
            return _decimal(text, variable.meta)
        return msgspec.convert(text.strip(), annotated, strict=False)
    except (msgspec.ValidationError, InvalidOperation):
        raise ValueError(f"{variable.name} must be {variable.expectation}.") from None


def _decimal(text: str, meta: Meta | None) -> Decimal:
    value = Decimal(text.strip())
    below = meta is not None and meta.ge is not None and value < Decimal(str(meta.ge))
    above = meta is not None and meta.le is not None and value > Decimal(str(meta.le))
    if not value.is_finite() or below or above:
        raise InvalidOperation
    return value
