"""Who may act on which account, what a collaborator may do, and who may write as whom.

Others may import `authority`, `permissions`, `senders`.
"""
