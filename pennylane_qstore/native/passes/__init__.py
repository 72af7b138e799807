"""Programs to cheaper programs."""
