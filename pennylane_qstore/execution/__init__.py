"""Tapes to jobs to results."""
