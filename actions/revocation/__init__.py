"""What ends with what: one table of causes and kinds of access, and the function that carries it out.

Others may import `revocation`, `table`.
"""
