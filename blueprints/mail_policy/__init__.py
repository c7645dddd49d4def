"""What Dovecot asks before and after it verifies a password."""
