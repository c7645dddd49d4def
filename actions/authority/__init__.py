"""Who may act on which account, and what a collaborator may do.

Others may import `authority`, `permissions`.
"""
