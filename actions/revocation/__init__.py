"""Revocation: one table of causes and the kinds of access that each ends, and the function that carries it out.

Others may import `revocation`, `table`.
"""
