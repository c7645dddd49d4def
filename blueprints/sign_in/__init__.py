"""Ways in and out: sign in, sign out, forgotten password, the password once more."""
