"""Webmails: their keys and tokens, the hand-off, and what their sessions open a mailbox with.

Others may import `handoffs`, `webmail_credentials`, `webmail_fallbacks`, `webmail_tokens`, `webmails`.
"""
