"""Collaborators: who else opens a mailbox, their user names and their permissions.

Others may import `collaborations`, `user_names`.
"""
