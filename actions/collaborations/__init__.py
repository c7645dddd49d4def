"""Collaborators: who else opens a mailbox, by which user name, and what each may do there.

Others may import `collaborations`, `user_names`.
"""
