"""My account: password, sessions, activity, preferences."""
