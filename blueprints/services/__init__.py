"""Mail services and their users, as managers look after them."""
