"""A small file of places in MaxMind's format (its specification 2.0), with what we say is where."""

from ipaddress import ip_network
from pathlib import Path

# Its types of data, as far as they are written here.
TEXT, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11
BETWEEN, BEFORE_METADATA = bytes(16), b"\xab\xcd\xefMaxMind.com"
RECORD = 3


def write(file: Path, places: dict[str, dict]) -> Path:
    """Write what is known of each network, such as `{"198.51.100.0/24": {"country": {"iso_code": "IT"}}}`."""
    data, nodes = b"", [[None, None]]
    for network, place in places.items():
        _put(nodes, _bits(network), ("data", len(data)))
        data += _encoded(place)
    tree = b"".join(_record(record, len(nodes)) for node in nodes for record in node)
    metadata = {
        "node_count": (UINT32, len(nodes)),
        "record_size": (UINT16, RECORD * 8),
        "ip_version": (UINT16, 6),
        "database_type": "Places",
        "languages": ["en"],
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, 1),
        "description": {"en": "Places"},
    }
    file.write_bytes(tree + BETWEEN + data + BEFORE_METADATA + _encoded(metadata))
    return file


def _bits(network: str) -> str:
    """The bits of a network as IPv6; the addresses of IPv4 begin with 96 zeros."""
    known = ip_network(network)
    width = known.max_prefixlen
    return "0" * (128 - width) + f"{int(known.network_address):0{width}b}"[: known.prefixlen]


def _put(nodes: list, bits: str, record: tuple) -> None:
    at = 0
    for bit in map(int, bits[:-1]):
        if nodes[at][bit] is None:
            nodes.append([None, None])
            nodes[at][bit] = len(nodes) - 1
        at = nodes[at][bit]
    nodes[at][int(bits[-1])] = record


def _record(record: object, count: int) -> bytes:
    if isinstance(record, tuple):
        record = count + len(BETWEEN) + record[1]
    return (count if record is None else record).to_bytes(RECORD)


def _encoded(value: object) -> bytes:
    if isinstance(value, dict):
        return _head(MAP, len(value)) + b"".join(_encoded(name) + _encoded(each) for name, each in value.items())
    if isinstance(value, list):
        return _head(ARRAY, len(value)) + b"".join(map(_encoded, value))
    if isinstance(value, tuple):
        kind, number = value
        return _head(kind, 2) + number.to_bytes(2)
    return _head(TEXT, len(value.encode())) + value.encode()


def _head(kind: int, size: int) -> bytes:
    if kind > 7:
        return bytes([size, kind - 7])
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
