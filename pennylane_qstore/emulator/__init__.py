"""IonQ's v0.4 API on loopback, simulated by PennyLane."""
