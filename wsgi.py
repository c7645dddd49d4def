"""The application for uWSGI and for `flask …`."""

import logging

from app import create_app
from settings import SettingsError

# Whatever a module has to say in this process, the log says whose it is.
logging.basicConfig(format="%(asctime)s postern %(levelname)s %(message)s")

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"Postern cannot start:\n{error}") from None
