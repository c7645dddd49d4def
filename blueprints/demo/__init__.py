"""What only the demo has."""
