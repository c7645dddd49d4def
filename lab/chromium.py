"""Chromium as tests and measurements start it."""

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
