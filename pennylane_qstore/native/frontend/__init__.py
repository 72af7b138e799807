"""Tapes to structures and programs."""
