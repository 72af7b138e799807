"""Configuration, optimizer and training runs."""
