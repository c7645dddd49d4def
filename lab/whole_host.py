"""The whole mail host on loopback: Dovecot, Postfix, Roundcube with our plugin, Postern under uWSGI, nginx with TLS."""

import contextlib
import getpass
import json
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lab.served_panel import ServedPanel
from lab.servers import HOST, IS_ROOT, REFUSE_QUICKLY, Dovecot, Postfix, free_port, new_directory
from lab.web_servers import PLUGINS, Nginx, Roundcube
from models import Webmail
from settings import MAIL_PORTS, Settings

DOMAINS = ("example.org", "example.net")
# Whatever is written to any other domain lands here.
OUTSIDE = "outside@example.org"
# Roundcube speaks to Dovecot from an address of its own, as a webmail on another host does.
WEBMAIL_ADDRESS = "127.0.0.2"
POSTFIX_CF = f"""
virtual_mailbox_domains = {", ".join(DOMAINS)}
virtual_alias_domains =
virtual_alias_maps = regexp:{{{{!/@({"|".join(domain.replace(".", "[.]") for domain in DOMAINS)})/ {OUTSIDE}}}}}
"""


@dataclass(frozen=True)
class Site:
    """A webmail and the panel in it, by their names; the kind of key by which the panel knows the webmail; and whether
    the webmail goes on with the password itself where no connection to the panel can be made at login."""

    webmail: str
    panel: str
    is_cross_site: bool = False
    algorithm: str = Webmail.EDDSA
    falls_back: bool = False


class WholeHost:
    """Everything that belongs to a mail host, in one new directory; all of it ends with the block.

    `sites` share mail server, mailboxes and Roundcube. `settings` are further `POSTERN_…` variables.
    """

    def __init__(self, sites: Sequence[Site], port: int = 0, plugins: Sequence[str] = PLUGINS, **settings: str):
        self.sites = sites
        self.port = port or free_port()
        self.directory = new_directory("host")
        self._plugins = plugins
        self._environment = self._common_environment() | settings
        self.password = self._environment["POSTERN_DEMO_PASSWORD"]
        self.panels = {site: self._panel(site) for site in sites}
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._running.callback(self._remove)
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_error) -> None:
        self._running.close()

    def webmail_url(self, site: Site) -> str:
        return f"https://{site.webmail}:{self.port}"

    def panel_url(self, site: Site) -> str:
        return f"https://{site.panel}:{self.port}"

    def flask(self, *words: str, site: Site | None = None) -> str:
        """What one of the operator's commands prints."""
        return self._in_panels_place(["flask", "--app", "wsgi", *words], site)

    def make_people(self, *logins: str) -> dict[str, str]:
        """Demo people, or mailboxes of these addresses; login and password of each that was made."""
        module = [sys.executable, "-m", "lab.make_people"]
        return json.loads(self._in_panels_place(module, None, " ".join(logins)))

    def _start(self) -> None:
        self.people = self.make_people() | self.make_people(OUTSIDE)
        plugin_config = "".join(map(self._plugin_config, self.sites))
        settings = Settings.load(self.panels[self.sites[0]].environment)
        self.dovecot = self._running.enter_context(Dovecot(settings, REFUSE_QUICKLY))
        self.postfix = self._running.enter_context(
            Postfix("private/auth", free_port(), self.dovecot.port("lmtp"), POSTFIX_CF, port=self._smtp_port)
        )
        for panel in self.panels.values():
            self._running.callback(panel.stop)
            panel.start()
        self.roundcube = self._running.enter_context(
            Roundcube(settings.mail_ports, WEBMAIL_ADDRESS, f"<?php\n{plugin_config}", self._plugins)
        )
        names = [site.webmail for site in self.sites]
        panels = {site.panel: panel.port for site, panel in self.panels.items()}
        self.nginx = self._running.enter_context(Nginx(self.port, self.roundcube, names, panels))

    def _remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def _common_environment(self) -> dict[str, str]:
        self._smtp_port = free_port()
        ports = {
            name: free_port() if name in ("imap", "pop3", "submission", "sieve", "lmtp") else 0 for name in MAIL_PORTS
        }
        return {
            # No demo with twins, but a whole installation with the demo's people.
            "POSTERN_DEMO": "",
            "POSTERN_DEMO_PASSWORD": f"{secrets.token_hex(5)}-{secrets.token_hex(3).upper()}-Aa1",
            "POSTERN_PROXIES": "1",
            "POSTERN_SMTP_URL": f"smtp://{HOST}:{self._smtp_port}",
            "POSTERN_MAIL_FROM": "postern@example.org",
            "POSTERN_DOVEADM_URL": f"http://{HOST}:{free_port()}",
            "POSTERN_MAIL_HOST": "localhost",
            "POSTERN_MAIL_USER": "mail" if IS_ROOT else getpass.getuser(),
            "POSTERN_MAIL_LISTEN": HOST,
            "POSTERN_MAIL_PORTS": ",".join(f"{name}={number}" for name, number in ports.items()),
            "POSTERN_SUBMISSION_RELAY": f"{HOST}:{self._smtp_port}",
            "POSTERN_WEBMAIL_HOSTS": WEBMAIL_ADDRESS,
            "POSTERN_WEBMAIL_ORIGINS": " ".join(map(self.webmail_url, self.sites)),
        }

    def _panel(self, site: Site) -> ServedPanel:
        own = {"POSTERN_BASE_URL": self.panel_url(site), "POSTERN_CROSS_SITE": "yes" if site.is_cross_site else "no"}
        return ServedPanel(self.directory / "postern", **self._environment | own)

    def _plugin_config(self, site: Site) -> str:
        """What `flask webmail add` prints, for this webmail's host name only."""
        added = ("webmail", "add", self.webmail_url(site), "--algorithm", site.algorithm)
        printed = self.flask(*added, site=site)
        lines = [line.strip() for line in printed.splitlines() if line.strip().startswith("$config[")]
        lines.append(f"$config['postern_server_url'] = 'http://{HOST}:{self.panels[site].port}';")
        if site.falls_back:
            lines.append("$config['postern_fallback'] = true;")
        return f"if (strtok($_SERVER['HTTP_HOST'], ':') === '{site.webmail}') {{\n" + "\n".join(lines) + "\n}\n"

    def _in_panels_place(self, command: list[str], site: Site | None, typed: str = "") -> str:
        return self.panels[site or self.sites[0]].run(*command, typed=typed)
