"""Searches for fewer entangling gates."""
