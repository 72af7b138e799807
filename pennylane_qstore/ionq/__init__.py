"""The client of IonQ's API. It does not import PennyLane."""
