"""Collaborators of a mailbox: the list, a new one, and what its menu offers."""
