"""E-mails to people about what happened to their account.

Others may import `bounces`, `notices`.
"""
