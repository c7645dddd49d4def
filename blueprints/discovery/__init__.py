"""How mail programs find their settings: public, for the domains served, the same for every address of a domain."""
