"""Where addresses are, by a file of the host's."""

import os

import pytest

from adapters.places import Places
from lab import geoip

ROME = {"city": {"names": {"en": "Rome", "ru": "Рим"}}, "country": {"iso_code": "IT", "names": {"en": "Italy"}}}
PLACES = {
    "198.51.100.0/24": ROME,
    "203.0.113.0/24": {"registered_country": {"iso_code": "TR", "names": {"en": "Turkey"}}},
    "2001:db8::/32": {"country": {"iso_code": "ES", "names": {"en": "Spain"}}},
    "192.0.2.0/24": {"city": {"names": {"en": "<b>Nowhere</b>"}}},
}


@pytest.fixture
def file(tmp_path):
    return geoip.write(tmp_path / "places.mmdb", PLACES)


@pytest.mark.parametrize(
    ("address", "language", "place"),
    [
        ("198.51.100.7", "en", "Rome, Italy"),
        ("198.51.100.7", "it", "Rome, Italia"),
        ("198.51.100.7", "ru", "Рим, Италия"),
        ("203.0.113.7", "tr", "Türkiye"),
        ("2001:db8::7", "es", "España"),
        ("192.0.2.7", "en", "<b>Nowhere</b>"),
        ("127.0.0.1", "en", ""),
        ("no address", "en", ""),
        ("", "en", ""),
    ],
)
def test_a_place_is_told_in_the_readers_language(file, address, language, place):
    assert Places(str(file)).of(address, language) == place


def test_without_a_file_no_place_is_known_and_a_damaged_one_stops_nothing(file):
    places = Places(str(file))
    assert Places("").of("198.51.100.7", "en") == ""
    file.write_bytes(b"rubbish")
    os.utime(file, (1, 1))
    assert places.of("198.51.100.7", "en") == ""
    file.unlink()
    assert places.of("198.51.100.7", "en") == ""


def test_a_file_that_replaces_it_is_read(file, tmp_path):
    places = Places(str(file))
    assert places.of("198.51.100.7", "en") == "Rome, Italy"
    fresh = geoip.write(tmp_path / "fresh", {"198.51.100.0/24": {"country": {"iso_code": "DE"}}})
    os.utime(fresh, (1, 1))
    fresh.replace(file)
    assert places.of("198.51.100.7", "en") == "Germany"
