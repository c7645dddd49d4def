"""Who may act on whom, and what a collaborator may do.

Others may import `authority`, `permissions`.
"""
