"""The audit trail: each event is written in the transaction of its cause, and people read them in pages.

Others may import `audit`, `events`, `trail`.
"""
