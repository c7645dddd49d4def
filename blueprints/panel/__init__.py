"""The panel around the screens: home, health, style and script."""
