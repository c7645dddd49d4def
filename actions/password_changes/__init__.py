"""New passwords for several mailboxes at once, and the encrypted archive that carries them.

Others may import `archive`, `password_change_run`, `password_changes`.
"""
