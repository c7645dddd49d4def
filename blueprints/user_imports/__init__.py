"""Users from a file, and all of them as one."""
