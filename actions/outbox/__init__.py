"""What remains to be done outside: e-mails, text messages, connections to end.

Others may import `mail`, `outbox`, `return_path`.
"""
