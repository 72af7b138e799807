"""The measurements behind the claims of README."""
