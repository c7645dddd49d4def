"""Upkeep: clear away what can no longer matter, and make the demo's people.

Others may import `demo`, `housekeeping`.
"""
