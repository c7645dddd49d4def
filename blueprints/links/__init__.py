"""One-time links that were sent to somebody."""
