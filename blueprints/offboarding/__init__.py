"""Who can open a mailbox, and the end of them all."""
