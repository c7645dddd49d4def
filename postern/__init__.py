"""Postern: the account-security part of a webmail."""

__version__ = "0.1.0"
