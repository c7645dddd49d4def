"""The audit trail: written with its cause, and read in pages.

Others may import `audit`, `events`, `trail`.
"""
