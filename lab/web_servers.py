"""nginx with a certificate of its own, and Debian's Roundcube under PHP-FPM: each with its own configuration in a
directory of its own. Nothing below /etc is changed, and no system service is started."""

import contextlib
import getpass
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from lab.servers import HOST, IS_ROOT, STOP_SECONDS, is_listening, new_directory, program, wait_until

ROOT = Path(__file__).parents[1]
PLUGINS = ("managesieve", "postern")
PLUGIN = ROOT / "integrations" / "roundcube" / "postern"
DEBIAN = Path("/usr/share/roundcube")
DEBIAN_CONFIG = Path("/etc/roundcube")
# Root gives the work to Debian's user for web servers; anybody else does it alone.
WEB_USER = "www-data" if IS_ROOT else getpass.getuser()


def make_certificate(directory: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """A certificate that this host signs itself, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    kind = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    subject = ("-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    subprocess.run(
        [program("openssl"), *kind, *subject, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, key


def give_away(*paths: Path) -> None:
    """To the user who does the web servers' work."""
    if IS_ROOT:
        for path in paths:
            shutil.chown(path, WEB_USER, WEB_USER)


class Server:
    """A program that runs in the foreground until a signal ends it."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.log = directory / "log"
        self._process: subprocess.Popen | None = None

    def __exit__(self, *_error) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, *command: str) -> None:
        with self.log.open("ab") as log:
            # A group of its own: Ctrl-C goes to the process that started it, which then ends it in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _must_run(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._process.args[0]} ended:\n{self.log.read_text(errors='replace')[-3000:]}")


# --- Roundcube ---

POOL = """
[global]
error_log = {directory}/log
daemonize = no
[roundcube]
{owner}
listen = {directory}/php.sock
pm = dynamic
pm.max_children = 8
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
catch_workers_output = yes
php_admin_value[error_log] = {directory}/logs/php
php_admin_value[upload_max_filesize] = 8M
php_admin_value[date.timezone] = UTC
"""
OWNER = """
user = {user}
group = {user}
listen.owner = {user}
listen.group = {user}
"""

CONFIG = """<?php
$config['db_dsnw'] = 'sqlite:///{directory}/db/roundcube.db?mode=0600';
$config['imap_host'] = '{host}:{imap}';
$config['imap_conn_options'] = ['socket' => ['bindto' => '{address}:0']];
$config['smtp_host'] = '{host}:{submission}';
$config['smtp_conn_options'] = ['socket' => ['bindto' => '{address}:0']];
$config['managesieve_host'] = '{host}:{sieve}';
$config['managesieve_conn_options'] = ['socket' => ['bindto' => '{address}:0']];
$config['des_key'] = '{key}';
$config['product_name'] = 'Webmail';
$config['plugins'] = [{plugins}];
$config['skin'] = 'elastic';
$config['enable_spellcheck'] = false;
$config['login_autocomplete'] = 2;
$config['log_dir'] = '{directory}/logs/';
$config['temp_dir'] = '{directory}/temp/';
"""


class Roundcube(Server):
    """Roundcube as Debian installs it, in a tree of links, with our plugin.

    `ports` are Dovecot's; `address` is this machine's address from which Roundcube speaks to it. `plugin_config` is
    PHP.
    """

    def __init__(
        self,
        ports: dict[str, int],
        address: str,
        plugin_config: str,
        plugins: Sequence[str] = PLUGINS,
    ):
        super().__init__(new_directory("roundcube"))
        self.key = secrets.token_hex(12)
        self._plugin_config = plugin_config
        self._places = {name: ports[name] for name in ("imap", "submission", "sieve")} | {
            "directory": self.directory,
            "host": HOST,
            "address": address,
            "key": self.key,
            "plugins": ", ".join(f"'{name}'" for name in plugins),
        }

    @property
    def socket(self) -> Path:
        return self.directory / "php.sock"

    @property
    def _database(self) -> Path:
        return self.directory / "db" / "roundcube.db"

    @property
    def public(self) -> Path:
        """What the web server may serve."""
        return self.directory / "public_html"

    @property
    def errors(self) -> str:
        """What Roundcube and PHP complain of."""
        return "".join(file.read_text(errors="replace") for file in sorted((self.directory / "logs").iterdir()))

    def query(self, statement: str, *values: object) -> list[tuple]:
        """Rows of Roundcube's own database; what the statement changes is kept."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=10)) as database, database:
            return database.execute(statement, values).fetchall()

    def __enter__(self) -> Self:
        try:
            self._build()
            self._run(_php_fpm(), "-F", "-y", str(self.directory / "pool.conf"))
            wait_until(self._answers, "PHP-FPM listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        for name in ("index.php", "program", "skins", "SQL"):
            (self.directory / name).symlink_to(DEBIAN / name)
        for name in ("config", "plugins", "db", "logs", "temp", "public_html/program"):
            (self.directory / name).mkdir(parents=True)
        self._link_plugins()
        self._write_config()
        self._publish()
        self._make_database()
        give_away(*(self.directory / name for name in ("db", self._database, "logs", "temp", "config", "plugins")))

    def _link_plugins(self) -> None:
        plugins = self.directory / "plugins"
        for theirs in (DEBIAN / "plugins").iterdir():
            (plugins / theirs.name).symlink_to(theirs)
        ours = shutil.copytree(PLUGIN, plugins / "postern")
        _write_secret(ours / "config.inc.php", self._plugin_config)

    def _write_config(self) -> None:
        config = self.directory / "config"
        for name in ("defaults.inc.php", "mimetypes.php"):
            (config / name).symlink_to(DEBIAN_CONFIG / name)
        _write_secret(config / "config.inc.php", CONFIG.format(**self._places))
        owner = OWNER.format(user=WEB_USER) if IS_ROOT else ""
        (self.directory / "pool.conf").write_text(POOL.format(directory=self.directory, owner=owner))

    def _publish(self) -> None:
        """As Debian's own public directory; its index.php takes the directory above itself for Roundcube's."""
        shutil.copy(Path("/var/lib/roundcube/public_html/index.php"), self.public)
        for name in ("plugins", "skins", "program/js", "program/resources"):
            (self.public / name).symlink_to(self.directory / name)

    def _make_database(self) -> None:
        schema = (DEBIAN / "SQL" / "sqlite.initial.sql").read_text()
        with contextlib.closing(sqlite3.connect(self._database)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(schema)

    def _answers(self) -> bool:
        self._must_run()
        return self.socket.is_socket()


def _write_secret(file: Path, text: str) -> None:
    """For the web servers' user alone."""
    file.touch(mode=0o600)
    file.write_text(text)
    give_away(file)


def _php_fpm() -> str:
    """Debian names it after PHP's version."""
    found = sorted(Path("/usr/sbin").glob("php-fpm*"))
    if not found:
        raise RuntimeError("php-fpm is not installed: run scripts/setup test")
    return str(found[-1])


# --- nginx ---

NGINX = """
{user}
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/log;
events {{ worker_connections 512; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    server_tokens off;
    client_body_temp_path {directory}/body;
    fastcgi_temp_path {directory}/fastcgi;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 32m;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:1m;
    {servers}
}}
"""
WEBMAIL = """
    server {{
        listen {host}:{port} ssl;
        server_name {names};
        root {public};
        index index.php;
        gzip on;
        gzip_types text/css application/javascript application/json image/svg+xml;
        location / {{ expires 30d; }}
        location = / {{ rewrite ^ /index.php last; }}
        location ~ \\.php$ {{ return 404; }}
        location = /index.php {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {public}/index.php;
            fastcgi_pass unix:{socket};
        }}
    }}
"""
PANEL = """
    server {{
        listen {host}:{port} ssl;
        server_name {name};
        location / {{
            proxy_pass http://{host}:{panel};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
"""


class Nginx(Server):
    """nginx with TLS on one port: the webmail under its names, and panels, each with a name and the port that it has on
    this machine."""

    def __init__(self, port: int, roundcube: Roundcube, webmails: Sequence[str], panels: dict[str, int]):
        super().__init__(new_directory("nginx"))
        self.port = port
        self.certificate, key = make_certificate(self.directory, [*webmails, *panels])
        where = {"host": HOST, "port": port}
        servers = [
            WEBMAIL.format(**where, names=" ".join(webmails), public=roundcube.public, socket=roundcube.socket),
            *(PANEL.format(**where, name=name, panel=number) for name, number in panels.items()),
        ]
        user = f"user {WEB_USER};" if IS_ROOT else ""
        self._conf = self.directory / "nginx.conf"
        self._conf.write_text(
            NGINX.format(
                user=user, directory=self.directory, certificate=self.certificate, key=key, servers="".join(servers)
            )
        )

    def __enter__(self) -> Self:
        if is_listening(self.port):
            raise RuntimeError(f"Something else listens on port {self.port} already.")
        try:
            self._run(program("nginx"), "-p", str(self.directory), "-e", str(self.log), "-c", str(self._conf))
            wait_until(self._answers, "nginx listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _answers(self) -> bool:
        self._must_run()
        return is_listening(self.port)
