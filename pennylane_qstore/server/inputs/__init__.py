"""Submissions, checked and read."""
