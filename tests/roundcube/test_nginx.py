"""The shipped nginx configuration in front of the panel: whom it answers, by which name, and whom it does not."""

import contextlib
import gzip
import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.served_panel import ServedPanel
from lab.servers import HOST, IS_ROOT, free_port, is_listening, new_directory, program, wait_until
from lab.web_servers import ROOT, WEB_USER, Server, give_away, make_certificate

PANEL, DISCOVERY, STRANGER = "account.example.org", "autoconfig.example.org", "evil.example"
AUTODISCOVER = "autodiscover.example.org"
HTTP = """
{user}
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {directory}/body;
    fastcgi_temp_path {directory}/fastcgi;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    # As Debian's own nginx.conf.
    gzip on;
    {shipped}
}}
"""
SECONDS = 20


class PanelOnSocket(ServedPanel):
    """The panel as nginx reaches it, by uWSGI's own protocol."""

    def __init__(self, directory: Path):
        self.socket = directory / "uwsgi.sock"
        name = {"POSTERN_BASE_URL": f"https://{PANEL}", "POSTERN_DEMO": "", "UWSGI_SOCKET": str(self.socket)}
        mail_server = {"POSTERN_DOVEADM_URL": f"http://{HOST}:{free_port()}", "UWSGI_CHMOD_SOCKET": "666"}
        super().__init__(directory / "instance", **name, **mail_server)
        self._directory = directory

    def __enter__(self) -> "PanelOnSocket":
        upgrade = ["flask", "--app", "wsgi", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=self.environment, check=True, capture_output=True)
        self.start()
        return self

    def __exit__(self, *_error) -> None:
        super().__exit__()
        shutil.rmtree(self._directory, ignore_errors=True)

    def is_well(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self.socket))
            return True
        return False


class ShippedNginx(Server):
    """nginx with both shipped files, whose ports, certificates and places are these."""

    def __init__(self, panel: PanelOnSocket):
        super().__init__(new_directory("nginx"))
        self.plain, self.tls = free_port(), free_port()
        self.certificate, key = make_certificate(self.directory, [PANEL, DISCOVERY, AUTODISCOVER])
        places = {
            "listen 80": f"listen {HOST}:{self.plain}",
            "listen 443": f"listen {HOST}:{self.tls}",
            "listen 127.0.0.1:8100": f"listen {HOST}:{free_port()}",
            "/run/postern/uwsgi.sock": str(panel.socket),
            "/var/log/nginx": str(self.directory),
            "include uwsgi_params": "include /etc/nginx/uwsgi_params",
        }
        for name in (PANEL, DISCOVERY):
            places |= {
                f"/etc/letsencrypt/live/{name}/fullchain.pem": str(self.certificate),
                f"/etc/letsencrypt/live/{name}/privkey.pem": str(key),
            }
        shipped = "".join((ROOT / "integrations" / "nginx" / name).read_text() for name in sorted(FILES))
        # The machine may have no IPv6.
        shipped = "\n".join(line for line in shipped.splitlines() if "listen [::]:" not in line)
        for shipped_place, place in places.items():
            assert shipped_place in shipped
            shipped = shipped.replace(shipped_place, place)
        user = f"user {WEB_USER};" if IS_ROOT else ""
        (self.directory / "nginx.conf").write_text(HTTP.format(user=user, directory=self.directory, shipped=shipped))
        give_away(self.directory)

    def __enter__(self) -> "ShippedNginx":
        conf = self.directory / "nginx.conf"
        self._run(program("nginx"), "-p", str(self.directory), "-e", str(self.log), "-c", str(conf))
        wait_until(self._answers, "nginx listens")
        return self

    def _answers(self) -> bool:
        self._must_run()
        return is_listening(self.plain) and is_listening(self.tls)


FILES = ("postern.conf", "postern-discovery.conf")


@dataclass(frozen=True)
class Answer:
    """What came back: nothing at all is the status 0."""

    status: int
    location: str | None = None
    text: str = ""
    encoding: str | None = None


@dataclass(frozen=True)
class Front:
    """A client of nginx: over which name TLS begins, and what the request says of the host."""

    nginx: ShippedNginx

    def plainly(self, host: str | None, path: str = "/sign-in") -> Answer:
        with socket.create_connection((HOST, self.nginx.plain), SECONDS) as connection:
            return _asked(connection, host, path)

    def by_tls(self, name: str | None, host: str | None, path: str = "/sign-in", takes: str = "identity") -> Answer:
        """Raises `ssl.SSLError` when there is no connection."""
        context = ssl.create_default_context(cafile=str(self.nginx.certificate))
        context.check_hostname = name is not None
        with (
            socket.create_connection((HOST, self.nginx.tls), SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=name) as connection,
        ):
            return _asked(connection, host, path, takes)


def _asked(connection: socket.socket, host: str | None, path: str, takes: str = "identity") -> Answer:
    named = f"Host: {host}\r\n" if host is not None else ""
    version = "1.1" if host is not None else "1.0"
    connection.sendall(
        f"GET {path} HTTP/{version}\r\n{named}Accept-Encoding: {takes}\r\nConnection: close\r\n\r\n".encode()
    )
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return Answer(0)
    encoding = response.headers["Content-Encoding"]
    text = (gzip.decompress(response.read()) if encoding else response.read()).decode()
    return Answer(response.status, response.headers["Location"], text, encoding)


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with PanelOnSocket(new_directory("front")) as panel, ShippedNginx(panel) as nginx:
        yield Front(nginx)


@pytest.mark.parametrize("host", [PANEL, PANEL.upper(), f"{PANEL}:443"])
def test_by_its_own_name_the_panel_is_there(front, host):
    answer = front.by_tls(PANEL, host)
    assert answer.status == 200
    assert "<h1>" in answer.text


def test_nginx_compresses_nothing_that_the_panel_does_not(front):
    """An address with a query may be somebody else's choice: such a page stays as long as it is."""
    pages = [front.by_tls(PANEL, PANEL, path, takes="gzip") for path in ("/sign-in", "/sign-in?next=%2Fdevices%2F")]
    assert [page.encoding for page in pages] == ["gzip", None]
    assert all("<h1>" in page.text for page in pages)


@pytest.mark.parametrize("host", [STRANGER, f"{PANEL}.{STRANGER}", f"{STRANGER}:443", HOST, "localhost", "_", None])
def test_by_any_other_name_nothing_is_answered(front, host):
    assert front.plainly(host) == Answer(0)
    # A client that begins with the right name, and then asks for another.
    assert front.by_tls(PANEL, host) == Answer(0)


@pytest.mark.parametrize("name", [STRANGER, f"x.{PANEL}", "localhost", None])
def test_by_any_other_name_there_is_no_certificate(front, name):
    with pytest.raises(ssl.SSLError, match="unrecognized name|UNRECOGNIZED_NAME"):
        front.by_tls(name, PANEL)


def test_a_redirection_never_leads_where_the_request_says(front):
    assert front.by_tls(PANEL, PANEL, "/services").location == "/services/"
    assert front.plainly(PANEL, "/services?x=1").location == f"https://{PANEL}/services?x=1"
    assert front.plainly(f"{PANEL}:8080").location == f"https://{PANEL}/sign-in"


def test_a_mail_domains_names_lead_to_settings_and_to_nothing_else(front):
    assert front.plainly(DISCOVERY, "/mail/config-v1.1.xml").location == f"https://{PANEL}/mail/config-v1.1.xml"
    for path in ("/", "/sign-in", "/services", "/healthz"):
        assert front.by_tls(DISCOVERY, DISCOVERY, path).status == 404
    # No such domain is served by this panel, which says so itself.
    answer = front.by_tls(DISCOVERY, DISCOVERY, "/mail/config-v1.1.xml")
    assert (answer.status, answer.text) == (400, "Nothing is served by this name.\n")
    assert front.by_tls(PANEL, PANEL, "/mail/config-v1.1.xml?emailaddress=a@example.org").status == 404


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/AutoDiscover/AUTODISCOVER.xml"])
def test_a_body_in_chunks_arrives(front, path):
    """What Postern says of a good request for a domain that it does not serve; of an empty one it would say 600."""
    namespace = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
    schema = namespace.replace("requestschema/2006", "responseschema/2006a")
    asked = "<EMailAddress>a@example.com</EMailAddress>"
    asked += f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
    body = f'<Autodiscover xmlns="{namespace}"><Request>{asked}</Request></Autodiscover>'.encode()
    context = ssl.create_default_context(cafile=str(front.nginx.certificate))
    with (
        socket.create_connection((HOST, front.nginx.tls), SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=PANEL) as connection,
    ):
        head = f"POST {path} HTTP/1.1\r\nHost: {PANEL}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        for part in (body[:100], body[100:], b""):
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, b"<ErrorCode>500</ErrorCode>" in response.read()) == (404, True)
