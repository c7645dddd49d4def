"""What a person can do: one module per subject, one function per intent. No Flask here, and no SQL dialect."""
