"""The wire to IonQ. Knows nothing of PennyLane."""
