"""Whoever is signed in to a webmail comes in by a hand-off."""
