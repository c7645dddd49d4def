"""Chromium as tests and measurements start it."""

from pathlib import Path

# Chromium without what surrounds a page, which takes as long as the page.
CHROMIUM = "/usr/lib/chromium/chromium-headless-shell"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
# Fontconfig's settings: the same fonts on every machine, so that pictures can be compared.
FONTS = Path(__file__).with_name("fonts.conf")
