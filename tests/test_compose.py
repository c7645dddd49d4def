"""What can be seen of integrations/compose without starting anything. `make test-deploy` starts it."""

import re
from pathlib import Path

import yaml

from settings import Settings

COMPOSE = Path(__file__).parents[1] / "integrations" / "compose"
TEXT = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = SERVICES.keys() - {"roundcube"}
# Begins as root, and gives what it writes or starts to somebody else.
AS_ROOT = {"dovecot-config", "dovecot", "postfix"}


def example() -> dict[str, str]:
    lines = (COMPOSE / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_no_container_can_do_more_than_it_needs():
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("cap_add" in service) == (name in AS_ROOT), name
        assert "privileged" not in service and "/run/docker.sock" not in str(service), name


def test_only_the_mail_ports_are_published_to_everybody():
    published = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", port) for port in SERVICES["host"]["ports"]]
    assert {port for port in published if port.startswith("127.0.0.1:")} == {"127.0.0.1:8000:8000", "127.0.0.1:8080:80"}
    assert {int(port.split(":")[0]) for port in published if not port.startswith("127.")} == {
        25, 143, 465, 587, 993, 995, 4190,
    }  # fmt: skip
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["host"]


def test_postern_starts_with_the_settings_of_the_example(tmp_path):
    given = example()
    texts = {name: str(value) for name, value in SERVICES["postern"]["environment"].items()}
    named = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert named <= {name for name, value in given.items() if value}
    filled = {name: re.sub(r"\$\{(\w+)[^}]*\}", lambda found: given[found[1]], text) for name, text in texts.items()}
    settings = Settings.load(filled | {"POSTERN_INSTANCE": str(tmp_path)})
    assert settings.base_url == "https://account.example.org"


def test_the_servers_find_one_another():
    environment = SERVICES["postern"]["environment"]
    start = (COMPOSE / "mail" / "start-postfix").read_text(encoding="utf-8")
    relayed = (COMPOSE.parent / "postfix" / "master.cf").read_text(encoding="utf-8")
    assert f"smtpd_sasl_path=inet:{environment['POSTERN_POSTFIX_SASL_SOCKET']} " in start
    assert f"\n{environment['POSTERN_SUBMISSION_RELAY']} inet" in relayed
    copied = re.findall(r"^COPY (.*) \S+$", (COMPOSE / "mail" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in " ".join(copied).split() if not (COMPOSE.parent / name).is_file()] == []
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert [name for name in mounted if name.startswith(".") and not (COMPOSE / name).exists()] == []
