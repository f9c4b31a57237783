"""Torch definitions of the networks that are trained here. Needs torch; nothing below this room imports it."""
