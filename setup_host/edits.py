"""How the texts of a host's files change. Each function takes what is there and gives what is to be there; done twice,
it changes nothing."""

import json
import re
import tomllib

from setup_host.host import SetupError

# A line that Postfix reads together with the one before.
_CONTINUED = (" ", "\t")


def toml(present: str, values: dict[str, object]) -> str:
    """Postern's settings with these values; every other line stays. Raises `SetupError`."""
    text = present
    for name, value in values.items():
        if read_toml(text).get(name) == value:
            continue
        line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
        text, found = re.subn(rf"^{name}[ \t]*=.*$", lambda _match, line=line: line, text, flags=re.MULTILINE)
        if not found:
            text = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
    if read_toml(text) != {**read_toml(present), **values}:
        raise SetupError("postern.toml has a form that setup cannot change: write each setting in one line.")
    return text


def read_toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as trouble:
        raise SetupError(f"postern.toml cannot be read: {trouble}.") from None


def parameters(text: str) -> dict[str, str]:
    """What a `main.cf` sets: each value as it is written, with the lines that continue it."""
    lines = (entry.partition("=") for entry in _entries(text))
    return {name.strip(): value.strip() for name, _, value in lines}


def main_cf(present: str, wanted: dict[str, str]) -> str:
    """Postfix's `main.cf` with these parameters; the last line of one counts, and the others go."""
    has = parameters(present)
    changes = {name: value for name, value in wanted.items() if has.get(name) != value}
    if not changes:
        return present
    kept = _without(present, lambda entry: entry.partition("=")[0].strip() in changes)
    added = "".join(f"{name} = {value}\n".replace(" = \n", " =\n") for name, value in changes.items())
    return f"{kept}{added}"


def services(text: str) -> dict[tuple[str, str], str]:
    """The entries of a `master.cf` by name and type."""
    return {_service(entry): entry for entry in _entries(text)}


def master_cf(present: str, wanted: dict[tuple[str, str], str]) -> str:
    """Postfix's `master.cf` with these entries."""
    has = services(present)
    changes = {name: entry for name, entry in wanted.items() if has.get(name) != entry}
    if not changes:
        return present
    kept = _without(present, lambda entry: _service(entry) in changes)
    return kept + "".join(f"{entry}\n" for entry in changes.values())


def without_default_servers(text: str) -> str:
    """nginx's configuration without the servers that answer for every other name."""
    for server in re.findall(r"^server \{\n.*?^\}\n\n?", text, flags=re.MULTILINE | re.DOTALL):
        text = text.replace(server, "") if "default_server" in server else text
    return text


def _entries(text: str) -> list[str]:
    """The lines of Postfix's files that mean something, each with those that continue it, without comments."""
    found: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith(_CONTINUED) and found:
            found[-1] += f"\n{line.rstrip()}"
        else:
            found.append(line.rstrip())
    return found


def _without(text: str, goes) -> str:
    """The text without the entries that go; comments and empty lines stay."""
    kept, going = [], False
    for line in text.splitlines():
        means = bool(line.strip()) and not line.lstrip().startswith("#")
        if means and not line.startswith(_CONTINUED):
            going = goes(line)
        if not (means and going):
            kept.append(f"{line}\n")
    return "".join(kept)


def _service(entry: str) -> tuple[str, str]:
    words = entry.split()
    return words[0], words[1] if len(words) > 1 else ""
