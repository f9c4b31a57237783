"""One room's rules at a time."""
