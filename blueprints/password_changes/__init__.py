"""New passwords for several mailboxes at once."""
