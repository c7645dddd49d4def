"""The application for uWSGI and for `flask …`."""

from postern.app import create_app
from postern.settings import SettingsError

try:
    app = create_app()
except SettingsError as error:
    raise SystemExit(f"Postern cannot start:\n{error}") from None
