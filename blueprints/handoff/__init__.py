"""A hand-off signs in a person who is signed in to a webmail."""
