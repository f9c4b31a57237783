"""The commands, off a terminal, as a user types them."""
