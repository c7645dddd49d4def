"""All that an installation knows in one encrypted file, and back.

`backup` and `restore` are what the commands call. `_envelope` encrypts; `_rows` reads and writes rows of any version.
"""
