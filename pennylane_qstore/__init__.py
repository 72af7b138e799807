"""Train quantum models on IonQ's computers from PennyLane: one step, one request."""

from pennylane_qstore._version import __version__

__all__ = ["__version__"]
