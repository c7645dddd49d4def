"""Webmails: their keys and tokens, hand-offs, and the credentials with which their sessions open a mailbox.

Others may import `handoffs`, `webmail_credentials`, `webmail_fallbacks`, `webmail_tokens`, `webmails`.
"""
