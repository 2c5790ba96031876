"""nginx as a load balancer before several servers, with the test's own configuration."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.processes.programs import needed_tool

_HEAD = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_read_timeout 60s;
    proxy_connect_timeout 2s;
"""
# Where a server is lost, its clients see no page of nginx's but the end of the connection, as they would without it.
_SERVER = """
    upstream u{port} {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://u{port}; proxy_set_header Host $http_host; }}
        error_page 502 504 @lost;
        location @lost {{ return 444; }}
    }}
"""


@contextmanager
def balancing(folder: Path, servers: Mapping[int, Sequence[int]]) -> Iterator[None]:
    """nginx on the keys' ports of 127.0.0.1, each in turn before the servers on its values' ports."""
    folder.mkdir()
    configuration = _HEAD.format(folder=folder)
    for port, ports in servers.items():
        lines = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in ports)
        configuration += _SERVER.format(port=port, servers=lines)
    (folder / "nginx.conf").write_text(configuration + "}\n")
    command = [
        needed_tool("nginx", package="nginx-light"),
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
        "-e",
        str(folder / "error.log"),
    ]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)
