"""Upkeep: delete what can no longer matter, and create the demo's people.

Others may import `demo`, `housekeeping`.
"""
