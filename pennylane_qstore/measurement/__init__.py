"""Measurements: the one transform, the plan of bases, and results in PennyLane's order."""
