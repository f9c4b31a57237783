"""Hostile and broken input: each file, each broker, with the one line that it must give."""
