"""Devices: passwords of their own for mail programs."""
