"""IonQ's v0.4 API over HTTP, for any service behind it."""
