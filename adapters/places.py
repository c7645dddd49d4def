"""Where a network address is, by the host's own file in MaxMind's format; nobody else is asked."""

import logging
from pathlib import Path

from babel import Locale

log = logging.getLogger(__name__)


class Places:
    """Reads a `.mmdb` file of cities or countries; without one no place is known. An e-mail goes out without the place
    where the file cannot be read."""

    def __init__(self, file: str):
        self._file = file and Path(file)
        self._version, self._reader = 0, None

    def of(self, address: str, language: str) -> str:
        """City and country in this language, as far as the file knows them; empty for an address without a place."""
        try:
            found = self._opened().get(address) if self._file and address else None
            return _told(found, Locale.parse(language)) if isinstance(found, dict) else ""
        except Exception as trouble:
            # A damaged file can raise anything; what is no address raises `ValueError`.
            log.warning("POSTERN_GEOIP_FILE said nothing about an address: %s", type(trouble).__name__)
            return ""

    def _opened(self):
        """The file as it is now: it is replaced every few days, while we run."""
        version = self._file.stat().st_mtime_ns
        if version != self._version:
            # Only a host that has such a file needs it.
            import maxminddb

            self._reader, self._version = maxminddb.open_database(str(self._file)), version
        return self._reader


def _told(found: dict, locale: Locale) -> str:
    country = found.get("country") or found.get("registered_country") or {}
    # Babel knows each country in each language; of cities, such files have English names and some others.
    country_name = locale.territories.get(country.get("iso_code", "")) or _name(country, locale)
    return ", ".join(filter(None, [_name(found.get("city") or {}, locale), country_name]))


def _name(place: dict, locale: Locale) -> str:
    names = place.get("names") or {}
    return names.get(locale.language) or names.get("en") or ""
