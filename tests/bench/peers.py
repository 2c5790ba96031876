"""What a user could pick instead of our gateway, each installed apart and set up as its makers advise for production.

LiteLLM and Portkey live in a cache folder, which an installation fills once; nginx is found on PATH. A peer that
cannot be installed or started is reported, and the others run.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from b2b_chat.sandbox.ports import free_ports
from bench.dialects import Target
from bench.loader import Upstream, clean_environ, spawned, wait_until_answering

LITELLM_VERSION: Final = "1.106.2"
PORTKEY_VERSION: Final = "1.15.2"
_PORTKEY_PACKAGE: Final = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": PORTKEY_VERSION},
    # With a newer one Portkey streams nothing (its issue 1389).
    "overrides": {"@hono/node-server": "1.14.1"},
}
_KEY: Final = "sk-bench-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6"
_INSTALL_SECONDS: Final = 600

_LITELLM_CONFIG: Final = """
model_list:
  - model_name: gpt-5.2
    litellm_params:
      model: openai/gpt-5.2
      api_base: {upstream}/v1
      api_key: {key}
general_settings:
  master_key: {key}
litellm_settings:
  set_verbose: false
  telemetry: false
  num_retries: 0
  request_timeout: 600
"""

_NGINX_CONFIG: Final = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream openai {{ server {host}; keepalive 512; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://openai;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""


class Peer(NamedTuple):
    """A peer's gateway, running."""

    target: Target
    pid: int


class Kind(NamedTuple):
    """A peer's gateway. `install` returns its version, or raises `Missing`."""

    name: str
    install: Callable[[], str]
    running: Callable[[Upstream, Path], AbstractContextManager[Peer]]


class Missing(Exception):
    """It cannot be had here; the text says why."""


def cache_folder() -> Path:
    """Where installations stay between benchmarks."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "b2b-chat-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=True, cwd=cache_folder()
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise Missing(f"`{' '.join(command[:4])} …` failed: {' / '.join(told[-3:])}") from None
    return (done.stdout + done.stderr).strip()


def _on_path(program: str, advice: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Missing(f"{program} is not on PATH; {advice}")
    return found


def _litellm_folder() -> Path:
    return cache_folder() / f"litellm-{LITELLM_VERSION}"


def _install_litellm() -> str:
    folder = _litellm_folder()
    if not (folder / "bin" / "litellm").exists():
        uv = _on_path("uv", "pip install uv")
        _run([uv, "venv", "--clear", str(folder)])
        _run([uv, "pip", "install", "--python", str(folder / "bin/python"), f"litellm[proxy]=={LITELLM_VERSION}"])
    return LITELLM_VERSION


@contextmanager
def _running_litellm(upstream: Upstream, logs: Path) -> Iterator[Peer]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    config = logs / "litellm.yaml"
    config.write_text(_LITELLM_CONFIG.format(upstream=upstream.url, key=_KEY))
    environ = clean_environ(
        LITELLM_LOG="ERROR",
        LITELLM_MODE="PRODUCTION",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_TELEMETRY="False",
        PYTHONUNBUFFERED="1",
    )
    program = str(_litellm_folder() / "bin" / "litellm")
    command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with spawned("litellm", command, environ=environ, logs=logs) as child:
        wait_until_answering(child, f"{url}/health/liveliness")
        yield Peer(Target("openai", url, [_KEY]), child.pid)


def _portkey_folder() -> Path:
    return cache_folder() / f"portkey-{PORTKEY_VERSION}"


def _install_portkey() -> str:
    node = _run([_on_path("node", "install Node.js 18 or newer"), "--version"])
    folder = _portkey_folder()
    if not (folder / "node_modules/@portkey-ai/gateway/build/start-server.js").exists():
        npm = _on_path("npm", "install Node.js with npm")
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps(_PORTKEY_PACKAGE))
        _run([npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder)])
    return f"{PORTKEY_VERSION} on Node.js {node}"


@contextmanager
def _running_portkey(upstream: Upstream, logs: Path) -> Iterator[Peer]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    program = str(_portkey_folder() / "node_modules/@portkey-ai/gateway/build/start-server.js")
    environ = clean_environ(NODE_ENV="production", TRUSTED_CUSTOM_HOSTS="127.0.0.1,localhost")
    command = [_on_path("node", "install Node.js"), program, f"--port={port}", "--headless"]
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{upstream.url}/v1"}
    with spawned("portkey", command, environ=environ, logs=logs) as child:
        wait_until_answering(child, url)
        yield Peer(Target("openai", url, [_KEY], headers), child.pid)


def _nginx() -> str:
    return _on_path("nginx", "apt-get install nginx-light, or leave it out")


@contextmanager
def _running_nginx(upstream: Upstream, logs: Path) -> Iterator[Peer]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    folder = logs / "nginx"
    folder.mkdir()
    folder.chmod(0o777)  # as root nginx works as another user
    config = folder / "nginx.conf"
    config.write_text(_NGINX_CONFIG.format(folder=folder, host=upstream.url.partition("//")[2], port=port))
    command = [_nginx(), "-e", "stderr", "-c", str(config), "-p", str(folder)]
    with spawned("nginx", command, environ=clean_environ(), logs=logs) as child:
        wait_until_answering(child, url)
        yield Peer(Target("openai", url, [_KEY]), child.pid)


KINDS: Final = (
    Kind("nginx", lambda: _run([_nginx(), "-v"]).rpartition("/")[2], _running_nginx),
    Kind("Portkey", _install_portkey, _running_portkey),
    Kind("LiteLLM", _install_litellm, _running_litellm),
)
"""nginx does nothing but pass bytes on: the limit."""
