"""The page after the sign-in: what is set, what is odd, what is next."""
