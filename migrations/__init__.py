"""The numbered steps of `flask db upgrade`, and in `steps` what they are made of."""
