"""A real nginx on loopback addresses with the very files of `deploy/nginx`.

Only what a server's owner replaces is replaced: names, ports, where certificates and logs are, and the allowlist.
"""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import httpx
import trustme

from support.http.recording_app import AppBehind
from support.http.serving import free_port
from support.processes.commands import until
from support.processes.programs import needed_tool

DEPLOYED: Final = Path(__file__).parents[3] / "deploy" / "nginx"
NAME: Final = "localhost"
"""What both sites are called in tests."""

SiteName = Literal["product_api", "gateway_api"]
_APP_PORTS: Final = {"product_api": 8000, "gateway_api": 8001}
_NAMES: Final = {"product_api": "chat.example.com", "gateway_api": "gateway.example.com"}
_SECOND_ADDRESS: Final = "127.0.0.9"
"""Stands in for the files' IPv6 addresses, which not every machine has."""

# What a distribution's own nginx.conf says, as far as it matters: Debian's protocols and log level among it.
_MAIN: Final = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log {home}/logs/error.log;
{user}
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {home}/temp/body;
    proxy_temp_path {home}/temp/proxy;
    fastcgi_temp_path {home}/temp/fastcgi;
    uwsgi_temp_path {home}/temp/uwsgi;
    scgi_temp_path {home}/temp/scgi;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    access_log {home}/logs/access.log;
    gzip on;
    include conf.d/*.conf;
}}
"""


class Nginx:
    """A folder as `/etc/nginx` is, and the program that runs on it.

    Args:
        home: An empty folder.
        sites: The port of the app behind each site.
        allowed: The addresses that may speak to gateway_api.
    """

    def __init__(self, home: Path, sites: dict[SiteName, int], *, allowed: Sequence[str] = ("127.0.0.1",)) -> None:
        self.home = home
        self.ports = {site: free_port() for site in sites}
        self.plain_ports = {site: free_port() for site in sites}
        authority = trustme.CA()
        self.authority_file = home / "authority.pem"
        self._install(sites, allowed, authority)
        self.client_context = ssl.create_default_context(cafile=self.authority_file)

    @property
    def bodies(self) -> Path:
        """Where nginx would put bodies that it does not keep in memory."""
        return self.home / "temp" / "body"

    def logs(self, pattern: str = "*") -> str:
        """All that nginx has logged, or what these files hold."""
        return "".join(log.read_text() for log in sorted((self.home / "logs").glob(pattern)))

    def url(self, site: SiteName) -> str:
        """A site's address over TLS."""
        return f"https://{NAME}:{self.ports[site]}"

    def check(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run([*self._command(), "-t"], check=False, capture_output=True, text=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve; leaving the block ends it."""
        with subprocess.Popen(self._command(), stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: (self.home / "nginx.pid").exists() or process.poll() is not None)
                assert process.poll() is None, self.check().stderr
                yield
            finally:
                process.terminate()
                process.wait()

    def client(
        self, site: SiteName, *, address: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> httpx.AsyncClient:
        """A client of a site that calls from this address."""
        transport = httpx.AsyncHTTPTransport(verify=self.client_context, local_address=address)
        return httpx.AsyncClient(base_url=self.url(site), transport=transport, headers=headers, timeout=30)

    async def connect(
        self, site: SiteName, *, address: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a site, its handshake done, for what no client would send."""
        return await asyncio.open_connection(
            "127.0.0.1", self.ports[site], local_addr=(address, 0), ssl=self.client_context, server_hostname=NAME
        )

    def _command(self) -> list[str]:
        program = needed_tool("nginx", package="nginx-light")
        return [program, "-p", str(self.home), "-c", str(self.home / "conf" / "nginx.conf"), "-e", "logs/start.log"]

    def _install(self, sites: dict[SiteName, int], allowed: Sequence[str], authority: trustme.CA) -> None:
        """As the comments at the head of the files instruct an operator."""
        for name in ("conf/b2b-chat", "conf/conf.d", "logs", "temp", "certificates"):
            (self.home / name).mkdir(parents=True)
        # nginx drops root's rights for its workers, which then must reach a folder of root's.
        is_root = Path("/proc/self").stat().st_uid == 0
        main = _MAIN.format(home=self.home, user="user root;" if is_root else "")
        (self.home / "conf" / "nginx.conf").write_text(main)
        authority.cert_pem.write_to_path(self.authority_file)
        certificate = authority.issue_cert(NAME)
        for file in DEPLOYED.iterdir():
            (self.home / "conf" / "b2b-chat" / file.name).write_text(file.read_text())
        self._edit("allowlist.conf", {"allow 203.0.113.10;": "".join(f"allow {address};" for address in allowed)})
        for site, app_port in sites.items():
            folder = self.home / "certificates" / site
            folder.mkdir()
            certificate.private_key_pem.write_to_path(folder / "privkey.pem")
            for pem in certificate.cert_chain_pems:
                pem.write_to_path(folder / "fullchain.pem", append=True)
            self._edit(
                f"{site}.conf",
                {
                    f"/etc/letsencrypt/live/{_NAMES[site]}": str(folder),
                    _NAMES[site]: NAME,
                    "listen 443": f"listen 127.0.0.1:{self.ports[site]}",
                    "listen [::]:443": f"listen {_SECOND_ADDRESS}:{self.ports[site]}",
                    "listen 80": f"listen 127.0.0.1:{self.plain_ports[site]}",
                    "listen [::]:80": f"listen {_SECOND_ADDRESS}:{self.plain_ports[site]}",
                    f"127.0.0.1:{_APP_PORTS[site]}": f"127.0.0.1:{app_port}",
                    "/var/log/nginx": str(self.home / "logs"),
                },
            )
            (self.home / "conf" / "conf.d" / f"{site}.conf").symlink_to(f"../b2b-chat/{site}.conf")

    def _edit(self, name: str, replacements: dict[str, str]) -> None:
        file = self.home / "conf" / "b2b-chat" / name
        text = file.read_text()
        for old, new in replacements.items():
            assert old in text, f"{name} does not say {old!r} any more"
            text = text.replace(old, new)
        file.write_text(text)


class Behind(NamedTuple):
    """Both sites, and the one app behind them."""

    nginx: Nginx
    app: AppBehind
