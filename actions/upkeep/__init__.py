"""Upkeep: delete what can no longer matter, know the installation again, and create the demo's people.

Others may import `demo`, `housekeeping`, `installation`.
"""
