"""One HTTP request to the service."""
