"""Many calls, one batch: deferred results and cooperative tasks."""
