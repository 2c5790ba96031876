"""Code samples: one call in three languages, from the operation's own example."""

import json
from typing import Any, NamedTuple
from urllib.parse import urlencode


class Call(NamedTuple):
    """One call of an operation."""

    method: str
    url: str
    query: dict[str, Any]
    body: Any | None
    body_type: str
    key_variable: str | None
    """The environment variable with the API key; None where the operation takes none."""
    answers_json: bool


def samples_of(call: Call) -> list[dict[str, str]]:
    """Return the samples of a call as `x-codeSamples` has them."""
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(call)},
        {"lang": "Python", "label": "Python", "source": _python(call)},
        {"lang": "JavaScript", "label": "JavaScript", "source": _javascript(call)},
    ]


def _curl(call: Call) -> str:
    url = call.url + _query(call)
    parts = ["curl" if call.method == "GET" else f"curl -X {call.method}", _quoted(url)]
    if call.key_variable:
        parts.append(f'-H "Authorization: Bearer ${call.key_variable}"')
    if call.body is not None:
        parts.append(f"-H 'Content-Type: {call.body_type}'")
        parts.append(f"-d {_quoted(json.dumps(call.body, ensure_ascii=False))}")
    return " \\\n  ".join([" ".join(parts[:2]), *parts[2:]])


def _python(call: Call) -> str:
    lines = ["import os", "", "import httpx", ""] if call.key_variable else ["import httpx", ""]
    arguments = [json.dumps(call.url + _query(call))]
    if call.key_variable:
        arguments.append(f"""headers={{"Authorization": f"Bearer {{os.environ['{call.key_variable}']}}"}}""")
    if call.body is not None:
        arguments.append(f"json={_python_value(call.body)}")
    inner = "".join(f"    {argument},\n" for argument in arguments)
    lines += [f"answer = httpx.{call.method.lower()}(\n{inner})"]
    lines += ["answer.raise_for_status()", f"print({'answer.json()' if call.answers_json else 'answer.text'})"]
    return "\n".join(lines)


def _javascript(call: Call) -> str:
    options = [f'method: "{call.method}"'] if call.method != "GET" else []
    headers = [f"Authorization: `Bearer ${{process.env.{call.key_variable}}}`"] if call.key_variable else []
    if call.body is not None:
        headers.append(f'"Content-Type": "{call.body_type}"')
    if headers:
        options.append(f"headers: {{ {', '.join(headers)} }}")
    if call.body is not None:
        options.append(f"body: JSON.stringify({json.dumps(call.body, ensure_ascii=False)})")
    inner = "".join(f"  {option},\n" for option in options)
    url = json.dumps(call.url + _query(call))
    fetched = f"await fetch({url}, {{\n{inner}}})" if options else f"await fetch({url})"
    return (
        f"const answer = {fetched};\n"
        "if (!answer.ok) throw new Error(await answer.text());\n"
        f"console.log(await answer.{'json' if call.answers_json else 'text'}());"
    )


def _query(call: Call) -> str:
    return f"?{urlencode(call.query)}" if call.query else ""


def _quoted(text: str) -> str:
    """Return a text in single quotes for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _python_value(value: Any) -> str:
    plain = repr(value)
    return plain if '"' in plain else plain.replace("'", '"')
